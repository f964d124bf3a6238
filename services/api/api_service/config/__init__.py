"""The settings of the api service."""

from api_service.config.base import APISettings

__all__ = ["APISettings"]
