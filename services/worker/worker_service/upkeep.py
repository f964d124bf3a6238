"""What the dispatcher deletes in each store beside jobs, readable as a table of contents."""

from common.idempotency import delete_expired_keys
from jobs.upkeep import Upkeep

UPKEEP = (Upkeep("api", "idempotency-keys", delete_expired_keys),)
