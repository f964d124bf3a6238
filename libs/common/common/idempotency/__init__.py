"""Idempotency keys: what a request did, and its answer, kept in the transaction that did it.

The table lies in the database of each service that takes keys. Requests use it through `common.web.idempotency`; here
is what needs no web framework, because another process deletes old rows. The header is that of
draft-ietf-httpapi-idempotency-key-header.
"""

from common.idempotency.errors import IdempotencyKeyInUse, IdempotencyKeyInvalid, IdempotencyKeyReused
from common.idempotency.keys import Answer, KeyUse, keep_answer, take_key
from common.idempotency.purging import delete_expired_keys
from common.idempotency.table import KEPT, MAX_KEY_LENGTH, metadata

__all__ = [
    "KEPT",
    "MAX_KEY_LENGTH",
    "Answer",
    "IdempotencyKeyInUse",
    "IdempotencyKeyInvalid",
    "IdempotencyKeyReused",
    "KeyUse",
    "delete_expired_keys",
    "keep_answer",
    "metadata",
    "take_key",
]
