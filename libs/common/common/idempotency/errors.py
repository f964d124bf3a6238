"""Why a request with an idempotency key is refused."""

from common.errors import DomainError


class IdempotencyKeyInvalid(DomainError):
    """The header holds no key, or one that nobody could repeat exactly."""


class IdempotencyKeyReused(DomainError):
    """The key stands for another request."""

    def __init__(self) -> None:
        super().__init__("This key was used for another request; take a new key for a new one.")


class IdempotencyKeyInUse(DomainError):
    """The request that came first with this key is not done yet."""

    retry_after_seconds = 2

    def __init__(self) -> None:
        super().__init__("The first request with this key is not done yet; ask again for its answer.")
