"""Values come back as they went in, on both databases, or are refused before they go."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid4

import pytest
from common.db.types import UTCDateTime, UUIDBinary
from common.ids import new_id
from sqlalchemy import literal, select, text
from sqlalchemy.exc import StatementError


def store(library, born_at):
    with library.database.write() as session:
        author = library.Author(id=uuid4(), name="Ada", born_at=born_at)
        session.add(author)
        session.commit()
    with library.database.read() as session:
        return session.scalar(select(library.Author.born_at))


def test_an_instant_keeps_its_microseconds_and_is_aware_utc(library):
    moment = datetime(2026, 2, 3, 4, 5, 6, 789012, tzinfo=UTC)
    stored = store(library, moment)
    assert stored == moment
    assert stored.tzinfo is UTC


def test_an_instant_of_another_zone_is_stored_as_utc(library):
    moment = datetime(2026, 2, 3, 0, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert store(library, moment).isoformat() == "2026-02-02T19:00:00+00:00"


def test_no_instant_stays_none(library):
    assert store(library, None) is None


def test_a_naive_time_is_refused(library):
    with pytest.raises(StatementError, match="without zone"):
        store(library, datetime(2026, 2, 3))  # noqa: DTZ001 - it is what has to be refused


def test_instants_compare_in_queries(library):
    store(library, datetime(2026, 2, 3, tzinfo=UTC))
    query = select(library.Author.name).where(library.Author.born_at < datetime(2026, 2, 3, 0, 0, 0, 1, tzinfo=UTC))
    with library.database.read() as session:
        assert session.scalar(query) == "Ada"


def test_a_uuid_is_sixteen_bytes_in_network_order(library):
    author_id = library.add("Ada")
    with library.database.read() as session:
        stored = session.scalar(text("SELECT id FROM authors"))
        assert session.scalar(select(library.Author.id)) == author_id
        assert isinstance(session.scalar(select(library.Author.id)), UUID)
    assert stored == author_id.bytes


def test_a_missing_uuid_stays_none(library):
    with library.database.read() as session:
        assert session.scalar(select(literal(None, UUIDBinary()))) is None


def test_uuids_sort_by_creation(library):
    ids = [new_id() for _ in range(50)]
    with library.database.write() as session:
        session.add_all(library.Author(id=author_id, name=str(author_id)) for author_id in reversed(ids))
        session.commit()
    with library.database.read() as session:
        assert session.scalars(select(library.Author.id).order_by(library.Author.id)).all() == ids


@pytest.mark.parametrize("value", ["0197a2f0-0000-7000-8000-000000000000", b"0123456789abcdef", 5])
def test_anything_but_a_uuid_is_refused(library, value):
    with library.database.read() as session, pytest.raises(StatementError, match="expected a UUID"):
        session.scalar(select(library.Author).where(library.Author.id == value))


def test_texts_are_keys_byte_by_byte(library):
    for name in ("a", "A", "a ", "á", "\N{GRINNING FACE}"):
        library.add(name)
    assert len(library.names()) == 5


def test_a_text_too_long_for_its_column_is_refused_by_mysql(library):
    if library.database.dialect_name == "mysql":
        with pytest.raises(StatementError, match="too long"):
            library.add("a" * 101)


def test_the_types_may_be_cached_in_statements():
    assert UUIDBinary.cache_ok
    assert UTCDateTime.cache_ok
