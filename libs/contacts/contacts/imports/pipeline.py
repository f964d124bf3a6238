"""A whole import: chunk by chunk, each committed together with the place to go on from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO
from uuid import UUID

from common.clock import Clock, utc_now
from sqlalchemy.exc import DBAPIError

from contacts.imports.apply import ChunkOutcome, apply_chunk
from contacts.imports.contract import ERRORS_FILE, ImportPayload, ImportResult, ImportStep, OpenStep
from contacts.imports.lines import EXPANSION_LIMIT
from contacts.imports.mapping import Plan
from contacts.imports.reader import Checkpoint, ChunkReader
from contacts.imports.rejections import Rejection, reject, rejections_as_csv
from contacts.imports.rows import Row
from contacts.integrity import is_lost_race

ATTEMPTS = 10  # each one lost means that somebody else got through, so this many in a row is no bad luck any more


def run(
    source: BinaryIO,
    payload: ImportPayload,
    *,
    owner_id: UUID,
    checkpoint: dict[str, Any] | None,
    step: OpenStep,
    check: Callable[[], None],
    clock: Clock = utc_now,
) -> ImportResult:
    """Import the file and return the counts; go on where `checkpoint` (what the last step saved) says.

    `source` is the file as stored: seekable, plain or gzip. Each chunk of rows is written in one `step()` together
    with its checkpoint, so an import ended at any instant and run again gives the result of one pass. `check` is
    called before each chunk and raises to stop. Raises ImportRefused where the file as a whole is unfit; what was
    committed before the damage was met stays imported.
    """
    start = Checkpoint.model_validate(checkpoint) if checkpoint else None
    reader = ChunkReader(source, payload, start)
    state = start or reader.checkpoint(errors_bytes=0, result=ImportResult())
    importing = _Import(reader, payload, owner_id, clock)
    while not reader.is_at_end:
        check()
        chunk = reader.take_chunk()
        if chunk or not reader.is_at_end:
            state = importing.commit(step, chunk, state)
    return state.result


def result_so_far(checkpoint: dict[str, Any]) -> ImportResult:
    """What an import had done when it saved this: the counts of everything it committed."""
    return Checkpoint.model_validate(checkpoint).result


@dataclass(frozen=True)
class _Import:
    reader: ChunkReader
    payload: ImportPayload
    owner_id: UUID
    clock: Clock

    def commit(self, step: OpenStep, chunk: list[Row | Rejection], state: Checkpoint) -> Checkpoint:
        """Write what comes after `state` in one step, and in another where a race for its contacts was lost.

        No savepoint would do instead of a new step: after a deadlock MySQL has rolled back the whole transaction.
        """
        for _ in range(ATTEMPTS - 1):
            try:
                with step() as open_step:
                    return self.write(open_step, chunk, state)
            except DBAPIError as error:
                if not is_lost_race(error):
                    raise
        with step() as open_step:
            return self.write(open_step, chunk, state)

    def write(self, step: ImportStep, chunk: list[Row | Rejection], state: Checkpoint) -> Checkpoint:
        """Write what comes after `state` in the step's transaction and return where that leads."""
        rows = [row for row in chunk if isinstance(row, Row)]
        outcome = apply_chunk(step.session, self.owner_id, rows, self.payload.on_conflict, now=self.clock())
        rejections = _rejections(chunk, outcome, self.reader.plan)
        errors_bytes = state.errors_bytes + self._append(step, rejections, state.errors_bytes)
        result = _add(state.result, outcome, len(rejections))
        state = self.reader.checkpoint(errors_bytes=errors_bytes, result=result)
        progress = {"done": self.reader.position, "total": self.reader.size}
        step.save(state.model_dump(mode="json"), **progress, unit="bytes")
        return state

    def _append(self, step: ImportStep, rejections: list[Rejection], errors_bytes: int) -> int:
        if not rejections:
            return 0
        data = rejections_as_csv(rejections, self.reader.plan, with_header=errors_bytes == 0)
        # A file made of faults must not fill the database, and more than this could not be uploaded again, even packed.
        if errors_bytes + len(data) <= self.payload.max_bytes * EXPANSION_LIMIT:
            step.append_file(ERRORS_FILE, data)
        return len(data)


def _rejections(chunk: list[Row | Rejection], outcome: ChunkOutcome, plan: Plan) -> list[Rejection]:
    unreadable = [row for row in chunk if isinstance(row, Rejection)]
    refused = [reject(each.row.record, plan, plan.column_of(each.field), each.reason) for each in outcome.refused]
    return sorted(unreadable + refused, key=lambda rejection: rejection.line)


def _add(result: ImportResult, outcome: ChunkOutcome, rejected: int) -> ImportResult:
    return ImportResult(
        rows=result.rows + outcome.created + outcome.updated + outcome.skipped + rejected,
        created=result.created + outcome.created,
        updated=result.updated + outcome.updated,
        skipped=result.skipped + outcome.skipped,
        rejected=result.rejected + rejected,
    )
