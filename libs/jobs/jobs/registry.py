"""The kinds a worker runs, found by name and version."""

from collections.abc import Iterator

from jobs.errors import UnknownKind
from jobs.kinds import Kind

DEFAULT_HARD_LIMIT_SECONDS = 900.0


class Registry:
    """The kinds a worker runs. Register a new version beside the old one until no job of the old one is left."""

    def __init__(self, *kinds: Kind) -> None:
        """Raises ValueError when one is given twice."""
        self._kinds: dict[tuple[str, int], Kind] = {}
        for kind in kinds:
            self.add(kind)

    def add(self, kind: Kind) -> Kind:
        """Register `kind` and return it; raises ValueError when its name and version are taken."""
        key = (kind.name, kind.version)
        if key in self._kinds:
            raise ValueError(f"Kind {kind.name} version {kind.version} is registered twice")
        self._kinds[key] = kind
        return kind

    def get(self, name: str, version: int) -> Kind:
        """Return the kind; raises UnknownKind telling a missing name from a missing version."""
        kind = self._kinds.get((name, version))
        if kind is not None:
            return kind
        known = sorted(v for n, v in self._kinds if n == name)
        if known:
            raise UnknownKind(f"This worker runs versions {known} of {name}, not version {version}.")
        raise UnknownKind(f"This worker has no handler for the kind {name}.")

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._kinds.values())

    @property
    def longest_hard_limit_seconds(self) -> float:
        return max((kind.declaration.hard_limit for kind in self), default=DEFAULT_HARD_LIMIT_SECONDS)
