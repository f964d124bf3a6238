"""Registering and logging in."""

from functools import partial

import structlog
from common.db import WriteSession, run_write
from common.errors import FieldErrors
from common.ids import new_id
from sqlalchemy import bindparam, select, update
from sqlalchemy.exc import IntegrityError

from auth_service.audit import LOGIN_SUCCEEDED, SESSION_CREATED, USER_CREATED, Event
from auth_service.client import Client
from auth_service.dependencies import Dependencies
from auth_service.emails import Email, parse_email
from auth_service.errors import InvalidCredentials
from auth_service.models import User
from auth_service.models.user import ACTIVE
from auth_service.passwords import PASSWORD_SCHEME, check_new_password, normalise_password
from auth_service.use_cases.locks import LockedUser, share_user
from auth_service.use_cases.tokens import TokenPair, open_session

log = structlog.get_logger(__name__)

_FIND_BY_KEY = select(User).where(User.email_key == bindparam("key"))


def register(deps: Dependencies, client: Client, *, email: str, password: str, name: str | None) -> None:
    """Make an account, or do nothing if the address has one: the caller cannot tell which, nor by the time it takes.

    Hashing and inserting happen either way. Raises FieldErrors for an address or a password that is not
    accepted, HashingBusy.
    """
    address = parse_email(email)
    password_hash = deps.hasher.hash(check_new_password(password, address.address))
    try:
        run_write(
            deps.database, partial(_insert_user, deps, client, address=address, password_hash=password_hash, name=name)
        )
    except IntegrityError as error:
        if "email_key" not in str(error.orig):
            raise
        log.info("registration_repeated")


def log_in(deps: Dependencies, client: Client, *, email: str, password: str, audience: str) -> TokenPair:
    """Return the tokens of a new session for `audience`.

    Exactly one password is verified whatever the reason to refuse. Raises InvalidCredentials, HashingBusy.
    """
    user = _find_user(deps, email)
    typed = _normalise_typed(password)
    is_right = deps.hasher.verify(user.password_hash if user and typed is not None else None, typed or "")
    if user is None or typed is None or not is_right or not _may_log_in(deps, user):
        log.info("login_failed", user_id=str(user.id) if user else None)
        raise InvalidCredentials
    new_hash = deps.hasher.hash(typed) if deps.hasher.is_outdated(user.password_hash) else None
    return run_write(deps.database, partial(_admit, deps, client, user=user, new_hash=new_hash, audience=audience))


def _insert_user(
    deps: Dependencies, client: Client, session: WriteSession, *, address: Email, password_hash: str, name: str | None
) -> None:
    now = deps.clock()
    user = User(
        id=new_id(),
        email=address.address,
        email_key=address.key,
        name=name,
        password_hash=password_hash,
        password_scheme=PASSWORD_SCHEME,
        password_changed_at=now,
        status=ACTIVE,
        created_at=now,
        updated_at=now,
    )
    session.add(user)
    session.flush()  # first, so that an address that is taken costs no more than it did
    deps.audit.record(session, client, Event(USER_CREATED, user.id))
    session.commit()


def _find_user(deps: Dependencies, email: str) -> User | None:
    try:
        key = parse_email(email).key
    except FieldErrors:
        key = ""  # nobody's: what is no address is an unknown one, in the same time
    with deps.database.read() as session:
        return session.scalars(_FIND_BY_KEY, {"key": key}).one_or_none()


def _normalise_typed(password: str) -> str | None:
    """None for text that cannot be anybody's password."""
    try:
        return normalise_password(password)
    except ValueError:
        return None


def _may_log_in(deps: Dependencies, user: User) -> bool:
    return user.is_active and (user.email_verified or not deps.email_verification_required)


def _is_as_verified(locked: LockedUser, user: User) -> bool:
    """Whether the account is still open, and the password that was verified is still the one to know.

    By its moment, because the hash changes too when another login makes a new one of the same password.
    """
    return locked.is_active and locked.password_changed_at == user.password_changed_at


def _admit(
    deps: Dependencies, client: Client, session: WriteSession, *, user: User, new_hash: str | None, audience: str
) -> TokenPair:
    if new_hash is not None:
        # Conditional: a password changed since it was verified must not come back.
        session.execute(
            update(User)
            .where(User.id == user.id, User.password_hash == user.password_hash)
            .values(password_hash=new_hash, password_scheme=PASSWORD_SCHEME),
            execution_options={"synchronize_session": False},
        )
    locked = share_user(session, user.id)
    if locked is None or not _is_as_verified(locked, user):
        log.info("login_failed", user_id=str(user.id))
        raise InvalidCredentials
    grant, tokens = open_session(deps, session, client, locked, audience)
    names = (LOGIN_SUCCEEDED, SESSION_CREATED)
    events = (Event(name, user.id, grant.session_id, client_id=grant.client_id) for name in names)
    deps.audit.record(session, client, *events)
    session.commit()
    return tokens
