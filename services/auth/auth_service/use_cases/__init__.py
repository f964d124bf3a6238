"""The rules of the auth service as plain functions: values and dependencies in, values out."""

from auth_service.use_cases import auth, everywhere, refresh, revocation, sessions, users

__all__ = ["auth", "everywhere", "refresh", "revocation", "sessions", "users"]
