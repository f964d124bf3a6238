"""What a kind of job declares: once, in the domain's package, for those who enqueue it and those who run it.

    CONTACTS_IMPORT = job_kind("contacts.import", 1, payload=ImportPayload, queue="bulk")   # in the domain's package

    @CONTACTS_IMPORT                                                                         # in the worker
    def import_contacts(job: JobContext, payload: ImportPayload) -> ImportResult: ...

A kind nobody else enqueues is declared where it is written: `@job_kind("reports.build", 1, payload=ReportPayload)`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import BaseModel, ValidationError

from jobs.errors import PayloadInvalid

if TYPE_CHECKING:  # who only enqueues does not load what a worker needs
    from jobs.context import JobContext

Handler = Callable[["JobContext", Any], BaseModel | None]
Effects = Literal["database", "at_least_once", "at_most_once"]

MAX_NAME_CHARACTERS = 40
"""A relay names its step after the store and the kind, in 64 characters."""
DEFAULT_QUEUE = "default"
BULK_QUEUE = "bulk"
"""For jobs of minutes: a worker keeps a process free of them, so that short jobs do not wait for them."""


@dataclass(frozen=True)
class Declaration:
    """The promises of a kind in one version. Called with a handler, as a decorator, it makes the `Kind`.

    `effects` says where its effects go. "database": written through `JobContext.chunk`, so they happen exactly once.
    "at_least_once": outside, by `JobContext.effect`, which repeats with the same key what may have been lost.
    "at_most_once": outside, never repeated: the job fails for a person to look at where the outcome is unknown. Who
    enqueues one of the latter two has to name an idempotency key. Limits are in seconds: the soft one ends an attempt
    at the handler's next `check()` or `chunk()`, at the hard one its process is ended.
    """

    name: str
    version: int
    payload: type[BaseModel]
    queue: str = DEFAULT_QUEUE
    max_attempts: int = 8
    soft_limit: float = 840
    hard_limit: float = 900
    effects: Effects = "database"

    def __post_init__(self) -> None:
        if not 0 < len(self.name) <= MAX_NAME_CHARACTERS:
            raise ValueError(f"{self.name}: the name of a kind has 1 to {MAX_NAME_CHARACTERS} characters")
        if not 0 < self.soft_limit < self.hard_limit:
            raise ValueError(f"{self.name}: the soft limit has to be above 0 and below the hard one")
        if self.max_attempts < 1:
            raise ValueError(f"{self.name}: max_attempts has to be 1 or more")
        if self.effects not in get_args(Effects):
            raise ValueError(f"{self.name}: effects has to be one of {', '.join(get_args(Effects))}")

    def __call__(self, handler: Handler) -> "Kind":
        """Return the kind that `handler` runs."""
        return Kind(self, handler)

    @property
    def needs_idempotency_key(self) -> bool:
        return self.effects != "database"

    def read_payload(self, stored: dict[str, Any]) -> BaseModel:
        """Return the stored payload in the shape of this kind; raises PayloadInvalid naming the fields at fault."""
        try:
            return self.payload.model_validate(stored)
        except ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
            raise PayloadInvalid(f"The payload does not fit {self.name} version {self.version}: {faults}") from None


@dataclass(frozen=True)
class Kind:
    """A declaration and the plain function that keeps it; called, it is that function."""

    declaration: Declaration
    handler: Handler

    def __call__(self, job: "JobContext", payload: Any) -> BaseModel | None:
        return self.handler(job, payload)

    @property
    def name(self) -> str:
        return self.declaration.name

    @property
    def version(self) -> int:
        return self.declaration.version


def job_kind(
    name: str,
    version: int,
    *,
    payload: type[BaseModel],
    queue: str = DEFAULT_QUEUE,
    max_attempts: int = 8,
    soft_limit: float = 840,
    hard_limit: float = 900,
    effects: Effects = "database",
) -> Declaration:
    """Declare a kind; what comes back decorates its handler. Raises ValueError for what makes no sense."""
    return Declaration(name, version, payload, queue, max_attempts, soft_limit, hard_limit, effects)
