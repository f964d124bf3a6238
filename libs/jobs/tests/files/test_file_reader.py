"""A stored file behaves as a file: held against BytesIO, step by step."""

import io
import os

import pytest
from common.ids import new_id
from common.testing.statements import statements
from hypothesis import given, settings
from hypothesis import strategies as st
from jobs.files import FileStore, PieceDirectory
from jobs.models import Base

STORE = FileStore(chunk_bytes=16)  # each test runs with one that keeps the bytes in a directory, too
CONTENT = os.urandom(100)


@pytest.fixture(params=["database", "directory"], autouse=True)
def _place(request, tmp_path, monkeypatch):
    pieces = PieceDirectory(tmp_path / "files") if request.param == "directory" else None
    monkeypatch.setitem(globals(), "STORE", FileStore(pieces, chunk_bytes=16))


@pytest.fixture
def file(_place, make_database):
    """A database with a file in uneven pieces, and the file's id."""
    database = make_database(Base.metadata)
    job_id = new_id()
    with database.write() as session:
        for start, end in ((0, 5), (5, 50), (50, 51), (51, 100)):
            stored = STORE.append(session, job_id, "f", CONTENT[start:end], owner_id=new_id())
        session.commit()
    return database, stored.id


steps = st.one_of(
    st.tuples(st.just("read"), st.tuples(st.integers(-1, 120))),
    st.tuples(st.just("read1"), st.tuples(st.integers(0, 0))),
    st.tuples(st.just("seek"), st.tuples(st.integers(0, 120), st.just(io.SEEK_SET))),
    st.tuples(st.just("seek"), st.tuples(st.integers(0, 30), st.just(io.SEEK_CUR))),
    st.tuples(st.just("seek"), st.tuples(st.integers(-100, 20), st.just(io.SEEK_END))),
    st.tuples(st.just("tell"), st.just(())),
    st.tuples(st.just("readline"), st.just(())),
)


@settings(max_examples=60)
@given(script=st.lists(steps, max_size=12))
def test_it_reads_and_seeks_like_a_file_in_memory(file, script):
    with STORE.open_file(*file) as stored, io.BytesIO(CONTENT) as memory:
        for method, arguments in script:
            assert getattr(stored, method)(*arguments) == getattr(memory, method)(*arguments)


def test_text_can_be_read_from_it(file):
    database, _ = file
    with database.write() as session:
        text = STORE.append(session, new_id(), "t", "naïve\r\ncafé\n".encode() * 20, owner_id=new_id())
        session.commit()
    with io.TextIOWrapper(STORE.open_file(database, text.id), encoding="utf-8", newline="") as lines:
        assert list(lines) == ["naïve\r\n", "café\n"] * 20


def test_it_can_be_read_and_sought_but_not_written(file):
    with STORE.open_file(*file) as stored:
        assert stored.readable()
        assert stored.seekable()
        assert not stored.writable()
        with pytest.raises(io.UnsupportedOperation):
            stored.write(b"x")


def test_a_position_before_the_start_is_refused(file):
    with STORE.open_file(*file) as stored:
        stored.seek(10)
        with pytest.raises(ValueError, match="-1"):
            stored.seek(-1)
        with pytest.raises((OSError, ValueError)):
            stored.seek(-101, io.SEEK_END)
        assert stored.read(1) == CONTENT[10:11]


def test_a_closed_stream_reads_nothing(file):
    stored = STORE.open_file(*file)
    stored.close()
    with pytest.raises(ValueError, match="closed"):
        stored.read()


def test_seeking_reads_nothing_and_reading_goes_straight_to_the_chunk(file):
    database, file_id = file
    database.warm()
    with STORE.open_file(database, file_id) as stored, statements(database) as counted:
        for position in (0, 99, 40, 70):
            stored.seek(position)
    assert counted.total == 0
    with STORE.open_file(database, file_id) as stored:
        stored.seek(60)
        with statements(database) as counted:
            assert stored.read(2) == CONTENT[60:62]
    assert counted.kinds == {"select": 1}


def test_between_reads_it_holds_no_connection(file):
    database, file_id = file
    with STORE.open_file(database, file_id) as stored:
        stored.read(1)
        assert database.engine.pool.checkedout() == 0
