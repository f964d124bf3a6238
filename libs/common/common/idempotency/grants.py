"""What roles may do with the table of keys, for the `migrations/grants.py` of each service that takes keys."""

from common.db.grants import Tables

TAKING: Tables = {"idempotency_keys": {"SELECT", "INSERT", "UPDATE"}}
"""The service itself: takes keys, keeps answers, and takes a key again whose time is over."""

DELETING: Tables = {"idempotency_keys": {"SELECT", "DELETE"}}
"""The dispatcher: deletes keys whose time is over."""
