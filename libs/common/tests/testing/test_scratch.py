"""Databases of benchmarks: with tables, and gone afterwards."""

from pathlib import Path

from common.testing.scratch import scratch_database
from sqlalchemy import Column, Integer, MetaData, Table, func, insert, select

NOTES = Table("notes", MetaData(), Column("id", Integer, primary_key=True))


def test_it_has_its_tables_and_is_gone_afterwards(tmp_path: Path) -> None:
    with scratch_database(f"sqlite:///{tmp_path}/any.db", NOTES.metadata) as database:
        place = Path(database.url.database or "")
        assert place.exists()
        with database.write() as session:
            session.execute(insert(NOTES))
            session.commit()
        with database.read() as session:
            assert session.scalar(select(func.count()).select_from(NOTES)) == 1
    assert not place.exists()
    assert list(tmp_path.iterdir()) == []
