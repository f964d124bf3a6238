"""A whole export: chunk by chunk, each committed together with the place to go on from."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Row
from sqlalchemy.orm import Session

from contacts.exports import reading
from contacts.exports.contract import ContactFilter, ExportPayload, ExportResult, OpenChunk, OpenRead, file_name
from contacts.exports.writing import write_head, write_rows

CHUNK_ROWS = 1000  # as in imports: a cancel is heeded soon, a crash loses little; 60 MB if each has its greatest length


class Checkpoint(BaseModel):
    """Where an export stands after a committed chunk."""

    model_config = ConfigDict(frozen=True)

    until: UUID | None
    """The youngest contact there was at the start: without it, an export might never catch up with an import."""
    total: int | None
    """The live contacts up to there, None where counting them took too long."""
    after: UUID | None = None
    """The last contact that was read."""
    done: int = 0
    rows: int = 0
    """Contacts written; `done` counts those that did not meet the filter too."""
    bytes: int = 0


def run(
    payload: ExportPayload,
    *,
    owner_id: UUID,
    checkpoint: dict[str, Any] | None,
    read: OpenRead,
    chunk: OpenChunk,
    check: Callable[[], None],
) -> ExportResult:
    """Write the contacts into the job's file and return how many; go on where `checkpoint` (what was saved) says.

    A contact is in the file once if it is live from beginning to end, as it was at one moment of that, and never twice;
    one that is created, deleted or restored meanwhile may be missing. Each piece of the file commits in one `chunk()`
    with its checkpoint, so an export ended at any instant and run again has no row twice and none left out. `check` is
    called before each chunk and raises to stop.
    """
    state = Checkpoint.model_validate(checkpoint) if checkpoint else None
    is_at_end = False
    while not is_at_end:
        check()
        with read() as session:
            state, page = _read(session, owner_id, state)
        is_at_end = len(page) < CHUNK_ROWS
        state = _write(payload, chunk, state, page, is_at_end=is_at_end)
    assert state is not None  # noqa: S101 - for the type checker: the loop ran
    return ExportResult(format=payload.format, rows=state.rows, bytes=state.bytes)


def _read(session: Session, owner_id: UUID, state: Checkpoint | None) -> tuple[Checkpoint, Sequence[Row[Any]]]:
    state = state or _begin(session, owner_id)
    if state.until is None:
        return state, []
    return state, reading.read_page(session, owner_id, after=state.after, until=state.until, limit=CHUNK_ROWS)


def _begin(session: Session, owner_id: UUID) -> Checkpoint:
    until = reading.last_id(session, owner_id)
    return Checkpoint(until=until, total=0 if until is None else reading.count(session, owner_id, until))


def _write(
    payload: ExportPayload, chunk: OpenChunk, state: Checkpoint, page: Sequence[Row[Any]], *, is_at_end: bool
) -> Checkpoint:
    rows = [row for row in page if _meets(row, payload.filter)]
    data = write_rows(payload.format, rows)
    if state.bytes == 0:
        data = write_head(payload.format) + data
    state = state.model_copy(
        update={
            "after": page[-1].id if page else state.after,
            "done": state.done + len(page),
            "rows": state.rows + len(rows),
            "bytes": state.bytes + len(data),
        }
    )
    with chunk() as open_chunk:
        # Without a byte too: the file of an export that found nothing is there, and empty.
        open_chunk.append_file(file_name(payload.format), data)
        open_chunk.save(state.model_dump(mode="json"), done=state.done, total=_total(state, is_at_end), unit="contacts")
    return state


def _meets(row: Row[Any], wanted: ContactFilter) -> bool:
    # Here and not in the query: a page then costs the same however few contacts have the tag, and is read by index.
    return wanted.tag is None or wanted.tag in row.tags


def _total(state: Checkpoint, is_at_end: bool) -> int | None:
    """At the end as many as there were; before it no fewer than there are already: some may have been restored."""
    if is_at_end:
        return state.done
    return None if state.total is None else max(state.total, state.done)
