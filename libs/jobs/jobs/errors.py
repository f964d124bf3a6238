"""What can go wrong with a job, for callers, handlers and the worker."""

from common.errors import DomainError


class JobNotFound(DomainError):
    """No such job, or it belongs to someone else: callers cannot tell which."""

    def __init__(self) -> None:
        super().__init__("There is no job with this id.")


class PayloadTooLarge(DomainError):
    """The payload of a job is over its limit; large input travels as a file."""


class IdempotencyKeyRequired(DomainError):
    """Its effects cannot be taken back, so who enqueues this kind has to say which requests are the same."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"A job of the kind {kind} needs an idempotency key.")


class UnknownKind(DomainError):
    """No handler is registered for the kind, or not for its version."""


class UnknownStore(DomainError):
    """The message names a job store that is not configured here."""


class PayloadInvalid(DomainError):
    """The stored payload does not have the shape the kind declares."""


class PermanentJobError(DomainError):
    """Raised by a handler to end its job as failed; the text is shown to the owner."""


class RetryJobLater(DomainError):
    """Raised by a handler to be called again in `retry_after_seconds`; counts as an attempt."""

    def __init__(self, message: str, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class JobInterrupted(BaseException):
    """The run must end now. Not an Exception, so that no handler swallows it by `except Exception`."""


class LeaseLost(JobInterrupted):
    """Another worker may own the job: nothing more may be written for it."""


class WorkerStopping(JobInterrupted):
    """The worker was told to stop: the job goes on elsewhere, from its last chunk."""


class JobCancelled(JobInterrupted):
    """The owner asked for the job to stop."""


class TimeLimitExceeded(JobInterrupted):
    """The attempt is over the soft limit of its kind."""


class DeadlineExceeded(JobInterrupted):
    """The job was not done by its deadline."""
