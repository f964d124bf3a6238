"""What happened to accounts and sessions, for whoever has to find out later: rows are added and never changed."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from auth_service.models.base import Base
from auth_service.models.session import MAX_IP_LENGTH


class AuditEvent(Base):
    """Names follow OWASP's logging vocabulary. No addresses, tokens or user agents in clear: rows outlive accounts.

    `actor` is who did it, `subject_id` the user it concerns. No foreign keys, because the trail of a deleted account
    stays. `kid` is there for the events of keys: a column added to a table as long as this may become is not cheap.
    """

    __tablename__ = "audit_events"
    __table_args__ = (Index(None, "subject_id", "at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    event: Mapped[str] = mapped_column(String(64))
    outcome: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(String(32))
    actor_type: Mapped[str] = mapped_column(String(16))
    actor_id: Mapped[str | None] = mapped_column(String(64))
    subject_id: Mapped[UUID | None]
    client_id: Mapped[str | None] = mapped_column(String(64))
    session_id: Mapped[UUID | None]
    jti: Mapped[str | None] = mapped_column(String(64))
    kid: Mapped[str | None] = mapped_column(String(64))
    ip: Mapped[str | None] = mapped_column(String(MAX_IP_LENGTH))
    user_agent_digest: Mapped[str | None] = mapped_column(String(32))
    trace_id: Mapped[str | None] = mapped_column(String(32))
    service: Mapped[str] = mapped_column(String(64))
    version: Mapped[str] = mapped_column(String(64))
