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
    """No handler is registered for the kind, or not for its version.

    While a release is rolled out another worker may have it, so the job is tried again, and dies if that does not help.
    """

    code = "unknown-kind"
    retry_after_seconds = 60.0


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


class EffectNotDeclared(DomainError):
    """The handler acts outside the database, and its kind says that it does not."""

    def __init__(self, kind: str) -> None:
        super().__init__(f'The kind {kind} declares effects="database", so it has none outside.')


class UnknownOutcome(DomainError):
    """An effect that must not be repeated may have happened: somebody has to look before the job goes on."""

    code = "unknown-outcome"

    def __init__(self, step: str) -> None:
        super().__init__(f'Unknown outcome: nobody knows whether the step "{step}" happened. It is not repeated.')
        self.step = step


class JobNotRedrivable(DomainError):
    """Only a job that failed or died is run again by an operator."""

    code = "job-not-redrivable"

    def __init__(self, state: str) -> None:
        super().__init__(f"The job is {state}; only failed and dead jobs can be run again.")
        self.state = state


class OutcomeStillUnknown(DomainError):
    """The job has an effect that nobody knows the end of, and the operator did not say what became of it."""

    code = "outcome-still-unknown"

    def __init__(self) -> None:
        super().__init__("Find out whether the job's last effect happened, and say so: repeat it, or count it as done.")


class TooManyJobs(DomainError):
    """The owner has as many unfinished jobs as one may have."""

    def __init__(self, limit: int, retry_after_seconds: float) -> None:
        super().__init__(f"There are {limit} unfinished jobs already; wait until some have ended.")
        self.limit = limit
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
