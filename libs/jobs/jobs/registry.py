"""Kinds of jobs: what a worker can run, in which versions, within which limits."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ValidationError

from jobs.errors import PayloadInvalid, UnknownKind

if TYPE_CHECKING:  # who only enqueues does not load what a worker needs
    from jobs.context import JobContext

Handler = Callable[["JobContext", Any], BaseModel | None]


@dataclass(frozen=True)
class Kind:
    """A kind of job: a plain function and what it promises.

    `effects` says where its effects go. "database": written through `JobContext.step`, so they happen exactly once.
    "at_least_once": something outside may see an effect twice. The soft limit ends an attempt at the handler's next
    `check()` or `step()`; at the hard limit its process is ended.
    """

    name: str
    version: int
    payload: type[BaseModel]
    handler: Handler
    queue: str = "default"
    max_attempts: int = 8
    soft_time_limit_seconds: float = 840
    hard_time_limit_seconds: float = 900
    effects: Literal["database", "at_least_once"] = "database"

    def __post_init__(self) -> None:
        if not 0 < self.soft_time_limit_seconds < self.hard_time_limit_seconds:
            raise ValueError(f"{self.name}: the soft time limit has to be above 0 and below the hard one")
        if self.max_attempts < 1:
            raise ValueError(f"{self.name}: max_attempts has to be 1 or more")

    def read_payload(self, stored: dict[str, Any]) -> BaseModel:
        """Return the stored payload in the shape of this kind; raises PayloadInvalid naming the fields at fault."""
        try:
            return self.payload.model_validate(stored)
        except ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
            raise PayloadInvalid(f"The payload does not fit {self.name} version {self.version}: {faults}") from None


class Registry:
    """The kinds a worker runs. Register a new version beside the old one until no job of the old one is left."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, int], Kind] = {}

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
        return max((kind.hard_time_limit_seconds for kind in self), default=900)
