"""The kinds of jobs this worker runs, readable as a table of contents."""

from jobs.kinds import Kind
from jobs.registry import Registry

from worker_service.tasks.contacts import export_contacts, import_contacts

KINDS: tuple[Kind, ...] = (import_contacts, export_contacts)


def make_registry() -> Registry:
    """Return a registry of all kinds."""
    return Registry(*KINDS)
