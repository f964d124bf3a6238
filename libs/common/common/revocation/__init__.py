"""Revoked sessions, pushed over a stream in Valkey into a table in each process: bounded, measured staleness.

A database remembers who was revoked; this only tells everybody soon. Only session ids travel, never tokens.
"""

from common.revocation.contract import Revocations
from common.revocation.publisher import RevocationPublisher
from common.revocation.sessions import STALE_SECONDS, RevokedSessions
from common.revocation.stream import WINDOW_SECONDS

__all__ = ["STALE_SECONDS", "WINDOW_SECONDS", "RevocationPublisher", "Revocations", "RevokedSessions"]
