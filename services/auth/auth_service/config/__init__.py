"""The settings of the auth service."""

from auth_service.config.base import AuthSettings

__all__ = ["AuthSettings"]
