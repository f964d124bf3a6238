"""Files go in and come out whole, with one chunk in memory."""

import hashlib
import io
import os
import threading
import tracemalloc
from itertools import pairwise
from uuid import uuid4

import pytest
from common.ids import new_id
from common.testing.statements import statements
from jobs.files import (
    CHUNK_BYTES,
    FileDamaged,
    FileNotFound,
    FileStore,
    FileTooLarge,
    JobFile,
    JobFileChunk,
    PieceDirectory,
)
from jobs.models import Base
from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError

SMALL = FileStore(chunk_bytes=10)  # each test runs with one that keeps the bytes in a directory, too
OWNER = new_id()


@pytest.fixture(params=["database", "directory"], autouse=True)
def _place(request, tmp_path, monkeypatch):
    pieces = PieceDirectory(tmp_path / "files") if request.param == "directory" else None
    monkeypatch.setitem(globals(), "SMALL", FileStore(pieces, chunk_bytes=10))


@pytest.fixture
def database(make_database):
    return make_database(Base.metadata)


def save(database, content, store=None, **options):
    options = {"name": "upload.csv", "content_type": "text/csv", "max_bytes": 100_000_000, **options}
    with database.write() as session:
        file = (store or SMALL).save(session, owner_id=OWNER, stream=io.BytesIO(content), **options)
        session.commit()
    return file


def append(database, job_id, *pieces, name="errors.csv"):
    for piece in pieces:
        with database.write() as session:
            file = SMALL.append(session, job_id, name, piece, owner_id=OWNER, content_type="text/csv")
            session.commit()
    return file


def chunks(database, file):
    with database.read() as session:
        query = select(JobFileChunk.start_byte).where(JobFileChunk.file_id == file.id)
        starts = session.scalars(query.order_by(JobFileChunk.start_byte)).all()
    return [end - start for start, end in pairwise([*starts, file.size_bytes])]


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 20, 95])
def test_a_saved_file_comes_back_whole(database, size):
    content = os.urandom(size)
    file = save(database, content)
    assert b"".join(SMALL.read(database, file.id)) == content
    with SMALL.open_file(database, file.id) as stream:
        assert stream.read() == content
    assert chunks(database, file) == [10] * (size // 10) + ([size % 10] if size % 10 else [])


def test_its_row_says_what_it_is(database):
    content = os.urandom(25)
    file_id = save(database, content).id
    with database.read() as session:
        file = session.get(JobFile, file_id)
    assert (file.owner_id, file.job_id, file.name, file.content_type) == (OWNER, None, "upload.csv", "text/csv")
    assert file.size_bytes == 25
    assert file.sha256 == hashlib.sha256(content).digest()
    assert file.created_at.tzinfo is not None


def test_a_stream_is_read_from_where_it_stands(database):
    stream = io.BytesIO(b"head and body")
    stream.seek(9)
    with database.write() as session:
        file = SMALL.save(session, owner_id=OWNER, name="n", content_type="c", stream=stream, max_bytes=99)
        session.commit()
    assert b"".join(SMALL.read(database, file.id)) == b"body"


def test_a_stream_that_gives_little_at_a_time_makes_full_chunks(database):
    class Trickle(io.BytesIO):
        def read(self, size=-1):
            return super().read(min(size, 3))

    with database.write() as session:
        file = SMALL.save(session, owner_id=OWNER, name="n", content_type="c", stream=Trickle(b"x" * 25), max_bytes=99)
        session.commit()
    assert chunks(database, file) == [10, 10, 5]


@pytest.mark.parametrize("max_bytes", [0, 9, 10, 24])
def test_a_file_over_the_limit_is_refused_and_leaves_nothing(database, max_bytes):
    with pytest.raises(FileTooLarge, match=f"{max_bytes} bytes") as refusal:
        save(database, b"x" * 25, max_bytes=max_bytes)
    assert refusal.value.max_bytes == max_bytes
    with database.read() as session:
        assert session.scalars(select(JobFile)).all() == []


def test_a_file_over_the_limit_is_not_read_to_its_end(database):
    stream = io.BytesIO(b"x" * 1000)
    with database.write() as session, pytest.raises(FileTooLarge):
        SMALL.save(session, owner_id=OWNER, name="n", content_type="c", stream=stream, max_bytes=15)
    assert stream.tell() == 20


def test_a_file_at_the_limit_is_taken(database):
    assert save(database, b"x" * 25, max_bytes=25).size_bytes == 25


def test_a_file_that_is_not_committed_is_not_there(database):
    with database.write() as session:
        file = SMALL.save(
            session, owner_id=OWNER, name="n", content_type="c", stream=io.BytesIO(b"x" * 25), max_bytes=99
        )
    with pytest.raises(FileNotFound):
        SMALL.open_file(database, file.id)
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(JobFileChunk)) == 0


def test_an_unknown_file_is_named(database):
    unknown = uuid4()
    with pytest.raises(FileNotFound, match=str(unknown)) as refusal:
        list(SMALL.read(database, unknown))
    assert refusal.value.file_id == unknown
    with pytest.raises(FileNotFound):
        SMALL.open_file(database, unknown)


def test_deleting_a_file_deletes_its_chunks(database):
    file_id = save(database, b"x" * 25).id
    with database.write() as session:
        session.execute(delete(JobFile).where(JobFile.id == file_id))
        session.commit()
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(JobFileChunk)) == 0


def test_what_is_appended_follows_what_was_there(database):
    job_id = new_id()
    file = append(database, job_id, b"line 1\n", b"", b"a line longer than one chunk\n", b"line 3\n")
    assert b"".join(SMALL.read(database, file.id)) == b"line 1\na line longer than one chunk\nline 3\n"
    assert file.size_bytes == 43
    assert file.sha256 is None
    assert chunks(database, file) == [7, 10, 10, 9, 7]


def test_appending_nothing_makes_an_empty_file(database):
    file = append(database, new_id(), b"")
    assert file.size_bytes == 0
    assert list(SMALL.read(database, file.id)) == []


def test_what_is_appended_is_gone_with_the_caller_s_transaction(database):
    job_id = new_id()
    file = append(database, job_id, b"kept")
    with database.write() as session:
        SMALL.append(session, job_id, "errors.csv", b"lost", owner_id=OWNER)
        SMALL.append(session, job_id, "other.csv", b"lost", owner_id=OWNER)
    with database.read() as session:
        assert SMALL.find(session, job_id, "errors.csv").size_bytes == 4
        assert SMALL.find(session, job_id, "other.csv") is None
    assert b"".join(SMALL.read(database, file.id)) == b"kept"


def test_several_pieces_may_be_appended_in_one_transaction(database):
    job_id = new_id()
    with database.write() as session:
        for piece in (b"a" * 15, b"b" * 15):
            file = SMALL.append(session, job_id, "errors.csv", piece, owner_id=OWNER)
        session.commit()
    assert b"".join(SMALL.read(database, file.id)) == b"a" * 15 + b"b" * 15


def test_a_job_has_one_file_of_a_name(database):
    job_id = new_id()
    append(database, job_id, b"x")
    with pytest.raises(IntegrityError):
        save(database, b"y", name="errors.csv", job_id=job_id)


def test_a_saved_file_of_a_job_can_be_appended_to(database):
    job_id = new_id()
    save(database, b"saved ", name="result.csv", job_id=job_id)
    file = append(database, job_id, b"appended", name="result.csv")
    assert b"".join(SMALL.read(database, file.id)) == b"saved appended"
    assert file.sha256 is None


def test_writers_at_once_neither_mix_nor_lose_pieces(database):
    job_id = new_id()
    meeting = threading.Barrier(4, timeout=20)

    def write(letter):
        meeting.wait()
        for _ in range(5):
            append(database, job_id, letter * 12)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b", b"c", b"d")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as session:
        file = SMALL.find(session, job_id, "errors.csv")
    content = b"".join(SMALL.read(database, file.id))
    pieces = [content[start : start + 12] for start in range(0, len(content), 12)]
    assert sorted(pieces) == sorted(letter * 12 for letter in (b"a", b"b", b"c", b"d") for _ in range(5))


def test_find_sees_only_the_job_and_the_name_asked_for(database):
    job_id = new_id()
    file = append(database, job_id, b"x")
    with database.read() as session:
        assert SMALL.find(session, job_id, "errors.csv").id == file.id
        assert SMALL.find(session, job_id, "result.csv") is None
        assert SMALL.find(session, new_id(), "errors.csv") is None


def test_uploads_may_share_a_name(database):
    assert save(database, b"one").id != save(database, b"two").id


def test_a_missing_chunk_is_an_error_and_never_a_short_file(database):
    file = save(database, b"x" * 35)
    with database.write() as session:
        session.execute(delete(JobFileChunk).where(JobFileChunk.file_id == file.id, JobFileChunk.start_byte == 20))
        session.commit()
    with pytest.raises(FileDamaged, match="byte 20"):
        list(SMALL.read(database, file.id))
    with SMALL.open_file(database, file.id) as stream, pytest.raises(OSError, match="no content"):
        stream.read()


def test_a_reader_sees_the_file_as_long_as_it_was_when_opened(database):
    job_id = new_id()
    file = append(database, job_id, b"first")
    with SMALL.open_file(database, file.id) as stream:
        pieces = SMALL.read(database, file.id)
        assert next(pieces) == b"first"
        append(database, job_id, b"second")
        assert stream.read() == b"first"
        assert list(pieces) == []


def test_chunks_are_a_quarter_of_a_mebibyte(database):
    content = os.urandom(CHUNK_BYTES * 2 + 1)
    file = save(database, content, store=FileStore())
    assert chunks(database, file) == [CHUNK_BYTES, CHUNK_BYTES, 1]
    assert b"".join(FileStore().read(database, file.id)) == content


def test_reading_a_chunk_is_one_statement(database):
    file = save(database, b"x" * 25)
    database.warm()
    with statements(database) as counted:
        list(SMALL.read(database, file.id))
    assert counted.kinds == {"select": 1 + 3}


def test_memory_stays_within_a_few_chunks_whatever_the_size(database):
    class Endless(io.RawIOBase):
        """So many bytes of a stream that nobody holds."""

        def __init__(self, size):
            self.left = size

        def read(self, size=-1):
            count = min(size, self.left)
            self.left -= count
            return b"x" * count

    size = 40 * CHUNK_BYTES
    tracemalloc.start()
    try:
        with database.write() as session:
            file = FileStore().save(
                session, owner_id=OWNER, name="n", content_type="c", stream=Endless(size), max_bytes=size
            )
            session.commit()
        assert sum(len(piece) for piece in FileStore().read(database, file.id)) == size
        with FileStore().open_file(database, file.id) as stream:
            while stream.read(100_000):
                pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The driver holds a chunk, its escaped text and the packet at once.
    assert peak < 12 * CHUNK_BYTES
