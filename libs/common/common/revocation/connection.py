"""Connections to the server of the stream; its URL is that of STATE_URL, password included."""

from typing import Any

from redis import ConnectionError, Redis  # noqa: A004 - its name there
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool, parse_url
from redis.retry import Retry

CONNECT_TIMEOUT_SECONDS = 1.0


def connect(url: str, *, timeout_seconds: float, retries: int = 0) -> "Redis":
    """Return a client, connected at its first command, that waits at most so long for an answer.

    Raises ValueError for a URL of another scheme than redis, rediss or unix.
    """
    options: dict[str, Any] = {
        **parse_url(url),  # type: ignore[no-untyped-call] # the library leaves it without types
        "decode_responses": True,
        # What is no text is for the reader to pass over: an error here would stop it at that entry for ever.
        "encoding_errors": "replace",
        "protocol": 2,  # newer ones begin with commands our user on the server may not give
        "socket_timeout": timeout_seconds,
        # Not after a timeout: who waited so long has waited enough.
        "retry": Retry(NoBackoff(), retries, supported_errors=(ConnectionError,)),
    }
    if not url.startswith("unix://"):
        options |= {"socket_connect_timeout": min(CONNECT_TIMEOUT_SECONDS, timeout_seconds), "socket_keepalive": True}
    return Redis(connection_pool=ConnectionPool(**options))
