"""The tables of the auth service."""

from auth_service.models.audit_event import AuditEvent
from auth_service.models.base import Base
from auth_service.models.session import Session
from auth_service.models.user import User

__all__ = ["AuditEvent", "Base", "Session", "User"]
