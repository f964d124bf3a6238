"""Which index the lists take, asked of the server: one that sorts is 100 times slower on a large owner."""

from collections.abc import Sequence
from uuid import UUID

import pytest
from common.clock import utc_now
from common.db import Database
from common.ids import new_id
from contacts.imports import OnConflict
from contacts.imports.apply import apply_chunk
from contacts.imports.records import CSVRecord
from contacts.imports.rows import Row
from contacts.use_cases import contacts as use_cases
from sqlalchemy import text

ROWS = 6000


def fill(database: Database, owners: Sequence[UUID]) -> None:
    """Give each owner its part of ROWS contacts, and the server a current idea of them."""
    each = ROWS // len(owners)
    rows = [Row(CSVRecord(1, []), {"external_id": f"{n % 97}-{n}", "name": str(n)}) for n in range(each)]
    with database.write() as session:
        for owner_id in owners:
            apply_chunk(session, owner_id, rows, OnConflict.ERROR, now=utc_now())
        session.commit()
    with database.write() as session:
        session.execute(text("ANALYZE TABLE contacts")).all()


def explain(database: Database, owner_id: UUID, after: UUID | None) -> dict[str, object]:
    statement = use_cases._FIRST_PAGE if after is None else use_cases._NEXT_PAGE
    compiled = statement.compile(database.engine)
    values = {"owner_id": owner_id, "limit": 21, "after": after}
    with database.read() as session:
        # The text as it is sent, so that the plan is that of the real statement.
        parameters = {name: compiled._bind_processors.get(name, lambda v: v)(values[name]) for name in compiled.params}
        plan = (
            session.connection().exec_driver_sql(f"EXPLAIN FORMAT=TRADITIONAL {compiled}", parameters).mappings().one()
        )
        return dict(plan)


@pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
@pytest.mark.parametrize("owners", [3, 1000])
@pytest.mark.parametrize("is_first_page", [True, False])
def test_a_list_walks_the_owner_s_index_and_sorts_nothing(database: Database, owners: int, is_first_page: bool) -> None:
    ids = [new_id() for _ in range(owners)]
    fill(database, ids)
    with database.read() as session:
        rows, _ = use_cases.list_contacts(session, ids[1], 100, None)
    plan = explain(database, ids[1], None if is_first_page else rows[len(rows) // 2].id)
    assert plan["key"] == "ix_contacts_owner_id_id"
    assert "filesort" not in str(plan["Extra"])
    assert "temporary" not in str(plan["Extra"])
