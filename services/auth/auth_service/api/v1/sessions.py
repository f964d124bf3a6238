"""The sessions of the caller."""

from uuid import UUID

from common.access import authenticated, current_principal, user
from common.db.paging import Page
from common.redprint import Redprint
from common.web.sessions import read_session

from auth_service import use_cases
from auth_service.api.client import current_client
from auth_service.api.dependencies import current_dependencies
from auth_service.caller import Caller
from auth_service.use_cases.sessions import SessionRow
from auth_service.views.sessions import SessionsQuery, SessionView

sessions = Redprint("sessions")


@sessions.get("", access=user, query=SessionsQuery, response=Page[SessionView])
def list_sessions(query: SessionsQuery) -> Page[SessionView]:
    """List the caller's live sessions, last used first."""
    caller = current_principal()
    rows, last = use_cases.sessions.list_sessions(
        current_dependencies(), read_session(), caller.user_id, query.limit, query.after_use
    )
    items = [_view(row, caller.session_id) for row in rows]
    return Page[SessionView](items=items, next_cursor=last and last.to_cursor())


# Strict: whoever stole a token of a session that has ended must not end those of its owner.
@sessions.delete("/<uuid:session_id>", access=authenticated(revocation="strict"))
def revoke_session(session_id: UUID) -> None:
    """End one of the caller's sessions, also the one this request belongs to."""
    use_cases.sessions.revoke_session(
        current_dependencies(), current_client(), Caller.of(current_principal()), session_id
    )


def _view(row: SessionRow, current: UUID | None) -> SessionView:
    return SessionView(**row._mapping, current=row.id == current)  # noqa: SLF001 - SQLAlchemy documents it
