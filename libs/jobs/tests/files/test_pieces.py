"""The directory of files: what is written there is whole, found by nothing a client says, and not kept for ever."""

import errno
import io
import os
import time

import pytest
from common.ids import new_id
from jobs.enqueue import enqueue
from jobs.files import (
    FileDamaged,
    FileStore,
    JobFile,
    JobFileChunk,
    PieceDirectory,
    PieceMissing,
    check_job_files,
    make_file_store,
)
from jobs.files.deleting import delete_files_of, delete_left_over_pieces, delete_orphans
from jobs.files.pieces import PieceNameError
from jobs.kinds import job_kind
from jobs.registry import Registry
from jobs.runner import Runner
from jobs.states import Outcome
from jobs.stores import Stores
from jobs.testing import Numbers, StoreHarness
from sqlalchemy import func, select, update

DAY = 24 * 3600
KIND = job_kind("numbers", 1, payload=Numbers)


@pytest.fixture
def pieces(tmp_path):
    return PieceDirectory(tmp_path / "files")


@pytest.fixture(params=["database", "directory"])
def files(request, pieces):
    return FileStore(pieces if request.param == "directory" else None, chunk_bytes=10)


def on_disk(pieces):
    return sorted(path.name for path in pieces.root.rglob("*") if path.is_file())


def save(database, files, content=b"x" * 25, *, commit=True, **options):
    with database.write() as session:
        file = files.save(
            session,
            owner_id=new_id(),
            name="n",
            content_type="c",
            stream=io.BytesIO(content),
            max_bytes=9999,
            **options,
        )
        if commit:
            session.commit()
    return file


@pytest.fixture
def full_disk(pieces, monkeypatch):
    """A disk that takes two pieces and no more."""
    write = PieceDirectory.write

    def write_or_fail(self, file_id, start_byte, data):
        if len(on_disk(pieces)) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, file_id, start_byte, data)

    monkeypatch.setattr(PieceDirectory, "write", write_or_fail)


@pytest.mark.usefixtures("full_disk")
def test_what_a_full_disk_did_not_take_is_not_left_on_it_by_half(database, pieces):
    files = FileStore(pieces, chunk_bytes=10)
    with pytest.raises(OSError, match="No space"):
        save(database, files)
    with pytest.raises(OSError, match="No space"), database.write() as session:
        files.append(session, new_id(), "n", b"x" * 25, owner_id=new_id())
    assert on_disk(pieces) == []
    save(database, files, b"x" * 20)
    assert len(on_disk(pieces)) == 2


def make_old(database, pieces, *file_ids):
    with database.write() as session:
        old = session.get_one(JobFile, file_ids[0]).created_at.replace(year=2020)
        session.execute(update(JobFile).where(JobFile.id.in_(file_ids)).values(created_at=old))
        session.commit()
    age(pieces)


def age(pieces):
    for path in pieces.root.rglob("*"):
        os.utime(path, (time.time() - 2 * DAY,) * 2)


def count(database, what):
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(what))


def test_a_piece_comes_back_by_the_name_it_was_given(pieces):
    name = pieces.write(new_id(), 7, b"content")
    assert pieces.read(name) == b"content"
    assert on_disk(pieces) == [name]
    pieces.delete(name)
    pieces.delete(name)
    with pytest.raises(FileNotFoundError):
        pieces.read(name)


def test_two_writers_of_one_place_do_not_meet(pieces):
    file_id = new_id()
    first, second = pieces.write(file_id, 0, b"zombie"), pieces.write(file_id, 0, b"heir")
    assert (pieces.read(first), pieces.read(second)) == (b"zombie", b"heir")


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "", "a" * 32, "a" * 32 + "-0-" + "/" * 16])
def test_no_other_name_leads_anywhere(pieces, name):
    for action in (pieces.read, pieces.delete):
        with pytest.raises(PieceNameError):
            action(name)


def test_a_write_that_fails_leaves_nothing(pieces, monkeypatch):
    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        pieces.write(new_id(), 0, b"content")
    assert on_disk(pieces) == []


@pytest.mark.parametrize("name", ["../../evil", "/etc/passwd", "a\x00b"])
def test_the_name_of_a_file_is_no_part_of_any_path(database, pieces, name):
    with database.write() as session:
        FileStore(pieces).append(session, new_id(), name, b"x", owner_id=new_id())
        session.commit()
    [path] = [path for path in pieces.root.rglob("*") if path.is_file()]
    assert path.is_relative_to(pieces.root)
    assert "evil" not in path.name
    assert "passwd" not in path.name


def test_bytes_that_changed_are_noticed(database, files, pieces):
    file = save(database, files)
    if files.pieces:
        for path in pieces.root.rglob("*-10-*"):
            path.write_bytes(b"y" * 10)
    else:
        with database.write() as session:
            session.execute(update(JobFileChunk).where(JobFileChunk.start_byte == 10).values(data=b"y" * 10))
            session.commit()
    with pytest.raises(FileDamaged, match="checksum it was written with at byte 10"):
        list(files.read(database, file.id))
    with files.open_file(database, file.id) as stream, pytest.raises(OSError, match="checksum"):
        stream.read()


def test_a_piece_that_is_gone_is_an_error_and_never_a_short_file(database, pieces):
    files = FileStore(pieces, chunk_bytes=10)
    file = save(database, files)
    for path in pieces.root.rglob("*-20-*"):
        path.unlink()
    with pytest.raises(FileDamaged, match="gone from the directory at byte 20"):
        list(files.read(database, file.id))


def test_chunks_of_both_places_are_one_file(database, pieces):
    job_id = new_id()
    for store, data in ((FileStore(), b"in the database, "), (FileStore(pieces), b"in the directory")):
        with database.write() as session:
            file = store.append(session, job_id, "n", data, owner_id=new_id())
            session.commit()
    assert b"".join(FileStore(pieces).read(database, file.id)) == b"in the database, in the directory"
    with pytest.raises(FileDamaged, match="JOB_FILES does not name"):
        list(FileStore().read(database, file.id))


def test_a_rollout_that_switches_to_a_directory_fails_no_job(database, pieces):
    """Workers with and without it take turns at a job that reads an upload and writes a file."""
    with_, without = FileStore(pieces, chunk_bytes=10), FileStore(chunk_bytes=10)
    store, upload = StoreHarness(database), save(database, with_)

    @KIND
    def copy(job, payload):
        done = job.checkpoint["done"] if job.checkpoint else 0
        if done == 0:
            with job.chunk() as chunk:
                chunk.append_file("copy", b"first,")
                chunk.save({"done": 1}, done=1, total=2, unit="steps")
        content = job.open_file(upload.id).read()
        with job.chunk() as chunk:
            chunk.append_file("copy", content)

    def run(files):
        store.change(job_id, run_after=store.job(job_id).created_at)
        stores = Stores({"test": "unused"}, lambda url: database)
        return Runner(stores, Registry(copy), files=lambda name: files).run("test", job_id)

    job_id = store.enqueue(kind=KIND)
    assert run(without) is Outcome.RETRIED
    assert store.job(job_id).error["code"] == "file-damaged"
    assert run(with_) is Outcome.SUCCEEDED
    with database.read() as session:
        file_id = with_.find(session, job_id, "copy").id
    assert b"".join(with_.read(database, file_id)) == b"first," + b"x" * 25
    with pytest.raises(PieceMissing):
        list(without.read(database, file_id))
    delete_files_of(database, without.pieces, [job_id])
    assert len(on_disk(pieces)) == 6
    for path in pieces.root.rglob("*"):
        os.utime(path, (time.time() - 2 * DAY,) * 2)
    delete_left_over_pieces(database, pieces)
    assert len(on_disk(pieces)) == 3
    assert b"".join(with_.read(database, upload.id)) == b"x" * 25


def test_the_files_of_jobs_go_with_them(database, files, pieces):
    kept, gone = save(database, files, job_id=new_id()), save(database, files, job_id=new_id())
    assert delete_files_of(database, files.pieces, [gone.job_id, new_id()]) == 1
    assert (count(database, JobFile), count(database, JobFileChunk)) == (1, 3)
    assert b"".join(files.read(database, kept.id)) == b"x" * 25
    if files.pieces:
        assert len(on_disk(pieces)) == 3


def test_a_file_of_no_job_is_deleted_after_a_day(database, files, pieces):
    with database.write() as session:
        job = enqueue(session, owner_id=new_id(), kind=KIND, payload=Numbers())
        session.commit()
    bound, lost, unbound = (
        save(database, files, job_id=job.id),
        save(database, files, job_id=new_id()),
        save(database, files),
    )
    fresh = save(database, files)
    make_old(database, pieces, bound.id, lost.id, unbound.id)
    assert delete_orphans(database, files.pieces, None) == (2, None)
    assert count(database, JobFile) == 2
    for file in (bound, fresh):
        assert b"".join(files.read(database, file.id)) == b"x" * 25


def test_orphans_are_looked_for_page_by_page(database, monkeypatch):
    monkeypatch.setattr("jobs.files.deleting.FILES_AT_ONCE", 2)
    files = FileStore()
    saved = [save(database, files).id for _ in range(3)]
    assert delete_orphans(database, None, None) == (0, saved[1])
    assert delete_orphans(database, None, saved[1]) == (0, None)


def test_pieces_of_what_was_rolled_back_are_swept_after_a_day(database, pieces):
    files = FileStore(pieces, chunk_bytes=10)
    kept = save(database, files)
    save(database, files, commit=False)
    assert len(on_disk(pieces)) == 6
    assert delete_left_over_pieces(database, pieces) == 0
    age(pieces)
    (pieces.root / "not of ours").write_text("x")
    (pieces.root / "ab").mkdir(exist_ok=True)
    begun = pieces.root / "ab" / f".begun-{new_id().hex}-0-0123456789abcdef"
    begun.write_text("half")
    os.utime(begun, (0, 0))
    assert delete_left_over_pieces(database, pieces) == 4
    assert b"".join(files.read(database, kept.id)) == b"x" * 25
    assert (pieces.root / "not of ours").exists()


def test_nothing_is_swept_where_nothing_was_ever_written(database, pieces):
    assert delete_left_over_pieces(database, pieces) == 0


def test_the_setting_names_the_database_or_a_directory(tmp_path):
    assert make_file_store("database", "api").pieces is None
    assert make_file_store(str(tmp_path), "api").pieces == PieceDirectory(tmp_path / "api")
    assert check_job_files("database") == "database"
    with pytest.raises(ValueError, match="absolute path"):
        check_job_files("files")
