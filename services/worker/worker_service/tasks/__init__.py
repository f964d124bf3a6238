"""The kinds of jobs this worker runs, readable as a table of contents."""

from jobs.registry import Kind, Registry

from worker_service.tasks.contacts import CONTACTS_IMPORT_V1

KINDS: tuple[Kind, ...] = (CONTACTS_IMPORT_V1,)


def make_registry() -> Registry:
    """Return a registry of all kinds."""
    registry = Registry()
    for kind in KINDS:
        registry.add(kind)
    return registry
