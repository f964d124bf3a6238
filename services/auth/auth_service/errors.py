"""What the rules of this service refuse, and the one table from refusal to status."""

from collections.abc import Mapping

from common.access import InvalidToken
from common.errors import DomainError
from common.problems import Problem
from jobs.admin import ADMIN_PROBLEMS


class InvalidCredentials(DomainError):
    """A login failed; nobody learns whether the address is unknown, unverified or disabled, or the password wrong."""

    def __init__(self) -> None:
        super().__init__("The e-mail address or the password is not right.")


class InvalidGrant(DomainError):
    """A refresh token is unknown, used, expired, revoked or another client's; one text for all."""

    def __init__(self) -> None:
        super().__init__("The refresh token is not valid. Log in again.")


class SessionNotFound(DomainError):
    """The user has no session with this id."""

    def __init__(self) -> None:
        super().__init__("You have no session with this id.")


class AccountGone(DomainError):
    """The token is genuine, and its user has been deleted or disabled since."""

    challenge = InvalidToken.challenge

    def __init__(self) -> None:
        super().__init__("The account behind this token cannot be used.")


class HashingBusy(DomainError):
    """Too many passwords are being hashed at once."""

    retry_after_seconds = 1

    def __init__(self) -> None:
        super().__init__("Too many logins at once. Try again in a moment.")


PROBLEMS: Mapping[type[Exception], Problem] = {
    InvalidCredentials: Problem(401, "invalid-credentials", "Invalid credentials"),
    InvalidGrant: Problem(401, "invalid-grant", "Invalid grant"),
    SessionNotFound: Problem(404, "session-not-found", "Session not found"),
    AccountGone: Problem(401, "invalid-token", "Invalid token"),
    HashingBusy: Problem(503, "unavailable", "Service unavailable"),
    **ADMIN_PROBLEMS,
}
