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
from contacts.imports.reader import Checkpoint, Chunk, ChunkReader
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
    state = start or Checkpoint(offset=0, line=0, result=ImportResult(ignored_columns=reader.ignored_columns))
    importing = _Import(reader.plan, reader.size, payload, owner_id, clock)
    # In one thread: to read the next rows in another while these are written made imports 9 % slower.
    while True:
        check()
        chunk = reader.take_chunk()
        if chunk.rows or not chunk.is_last:
            state = importing.commit(step, chunk, state)
        if chunk.is_last:
            return state.result


def result_so_far(checkpoint: dict[str, Any]) -> ImportResult:
    """What an import had done when it saved this: the counts of everything it committed."""
    return Checkpoint.model_validate(checkpoint).result


@dataclass
class _Import:
    plan: Plan
    size: int
    payload: ImportPayload
    owner_id: UUID
    clock: Clock
    expects_conflicts: bool = True
    """Whether the next rows are looked up first. Where the last ones met no contact that is there, these are written
    without, which saves a sixth of the time; one that is there after all makes the chunk lose a race, as it were."""

    def commit(self, step: OpenStep, chunk: Chunk, state: Checkpoint) -> Checkpoint:
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
                self.expects_conflicts = True
        with step() as open_step:
            return self.write(open_step, chunk, state)

    def write(self, step: ImportStep, chunk: Chunk, state: Checkpoint) -> Checkpoint:
        """Write what comes after `state` in the step's transaction and return where that leads."""
        rows = [row for row in chunk.rows if isinstance(row, Row)]
        outcome = apply_chunk(
            step.session,
            self.owner_id,
            rows,
            self.payload.on_conflict,
            now=self.clock(),
            look_up=self.expects_conflicts,
        )
        self.expects_conflicts = outcome.found > 0
        rejections = _rejections(chunk.rows, outcome, self.plan)
        errors_bytes = state.errors_bytes + self._append(step, rejections, state.errors_bytes)
        state = chunk.checkpoint(errors_bytes=errors_bytes, result=_add(state.result, outcome, len(rejections)))
        step.save(state.model_dump(mode="json"), done=chunk.position, total=self.size, unit="bytes")
        return state

    def _append(self, step: ImportStep, rejections: list[Rejection], errors_bytes: int) -> int:
        if not rejections:
            return 0
        data = rejections_as_csv(rejections, self.plan, with_header=errors_bytes == 0)
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
