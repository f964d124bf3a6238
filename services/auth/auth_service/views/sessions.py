"""What users see of their sessions."""

from uuid import UUID

from common.db.paging import LimitQuery
from common.web.shapes import Timestamp, View

from auth_service.last_use import LastUse


class SessionsQuery(LimitQuery):
    """The list is ordered by last use, so its cursor is a moment with an id."""

    @property
    def after_use(self) -> LastUse | None:
        """The place the page starts after, None for the first page. Raises FieldErrors."""
        return None if self.cursor is None else LastUse.of_cursor(self.cursor)


class SessionView(View):
    """A session that goes on; `expires_at` is when it ends unless it is used, `current` whether it is the caller's."""

    id: UUID
    created_at: Timestamp
    last_used_at: Timestamp
    expires_at: Timestamp
    device_label: str | None
    ip: str | None
    current: bool
