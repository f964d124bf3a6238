"""Import and export as jobs: the uploaded file in, contacts, counts and rejected rows out, and contacts as a file."""

import gzip
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from common.db import Database
from contacts.exports import CONTACTS_EXPORT, ExportFormat, ExportPayload
from contacts.imports import CONTACTS_IMPORT, ERRORS_FILE, ImportPayload
from contacts.models import Contact
from jobs.enqueue import enqueue
from jobs.files import CHUNK_BYTES, FileStore, JobFileChunk, PieceDirectory
from jobs.runner import Runner
from jobs.states import JobState, Outcome
from jobs.stores import Stores
from jobs.testing import StoreHarness
from sqlalchemy import func, select
from worker_service.tasks import make_registry


class Store(StoreHarness):
    """The api's database, and a second way to it: as the user the worker is deployed with."""

    def __init__(self, database: Database, of_worker: Database) -> None:
        super().__init__(database)
        self.of_worker = of_worker


@pytest.fixture
def store(make_database: Callable[..., Database], as_role: Callable[[str, str, str], str]) -> Iterator[Store]:
    database = make_database("api_service")
    url = database.url.set(drivername=database.dialect_name).render_as_string(hide_password=False)
    of_worker = Database(as_role(url, "api_service", "worker"))
    yield Store(database, of_worker)
    of_worker.dispose()


def upload(store: Store, data: bytes, files: FileStore | None = None, **options: Any) -> UUID:
    with store.database.write() as session:
        file = (files or FileStore()).save(
            session,
            owner_id=store.owner_id,
            name="contacts.csv",
            content_type="text/csv",
            stream=io.BytesIO(data),
            max_bytes=10**7,
        )
        payload = ImportPayload(file_id=file.id, max_bytes=10**7, **options)
        job = enqueue(session, owner_id=store.owner_id, kind=CONTACTS_IMPORT, payload=payload)
        session.commit()
        return job.id


def run(store: Store, job_id: UUID, files: FileStore | None = None) -> Outcome | None:
    stores = Stores({"api": "unused"}, lambda url: store.of_worker)
    return Runner(stores, make_registry(), files=lambda _: files or FileStore()).run("api", job_id)


def count(store: Store) -> int:
    with store.database.read() as session:
        return session.scalars(
            select(func.count()).select_from(Contact).where(Contact.owner_id == store.owner_id)
        ).one()


def test_a_file_becomes_contacts_of_its_owner(store: Store) -> None:
    rows = b"".join(b"e%d,Zo\xc3\xab %d\n" % (n, n) for n in range(2500))
    job_id = upload(store, gzip.compress(b"external_id,name\n" + rows))
    assert run(store, job_id) is Outcome.SUCCEEDED
    job = store.job(job_id)
    assert job.result is not None
    assert (job.result["rows"], job.result["created"], job.result["rejected"]) == (2500, 2500, 0)
    assert job.progress is not None
    assert job.progress["done"] == job.progress["total"]
    assert count(store) == 2500


def test_rejected_rows_are_a_file_of_the_job(store: Store) -> None:
    job_id = upload(store, b"name,email\nAnn,ann@example.org\n,nobody@example.org\n")
    assert run(store, job_id) is Outcome.SUCCEEDED
    with store.database.read() as session:
        file = FileStore().find(session, job_id, ERRORS_FILE)
    assert file is not None
    assert (file.owner_id, file.content_type) == (store.owner_id, "text/csv")
    assert b"nobody@example.org" in b"".join(FileStore().read(store.database, file.id))


def test_a_file_that_cannot_be_imported_fails_with_its_reason(store: Store) -> None:
    job_id = upload(store, b"colour,size\nred,3\n")
    assert run(store, job_id) is Outcome.FAILED
    job = store.job(job_id)
    assert job.error is not None
    assert (job.state, job.error["code"]) == (JobState.FAILED, "no-name-column")


def test_a_file_with_bytes_that_were_altered_fails_and_says_so(store: Store) -> None:
    rows = b"".join(b"e%07d,Ann\n" % n for n in range(100_000))  # several pieces
    job_id = upload(store, b"external_id,name\n" + rows)
    with store.database.write() as session:
        chunk = session.scalars(select(JobFileChunk).where(JobFileChunk.start_byte == 2 * CHUNK_BYTES)).one()
        chunk.data = chunk.data.replace(b"Ann", b"Eve", 1)
        session.commit()
    assert run(store, job_id) is Outcome.FAILED
    job = store.job(job_id)
    assert job.error is not None
    assert (job.state, job.error["code"]) == (JobState.FAILED, "file-damaged")
    assert count(store) > 0  # what came before the damage, and nothing altered
    with store.database.read() as session:
        assert set(session.scalars(select(Contact.name))) == {"Ann"}


def test_a_piece_that_is_away_is_looked_for_again(store: Store, tmp_path: Path) -> None:
    files = FileStore(PieceDirectory(tmp_path / "files"))
    job_id = upload(store, b"name\nAnn\n", files)
    (tmp_path / "files").rename(tmp_path / "away")
    assert run(store, job_id, files) is Outcome.RETRIED
    error = store.job(job_id).error
    assert error is not None
    assert error["code"] == "file-damaged"
    (tmp_path / "away").rename(tmp_path / "files")
    store.change(job_id, run_after=store.job(job_id).created_at)
    assert run(store, job_id, files) is Outcome.SUCCEEDED
    assert count(store) == 1


def test_a_file_that_is_gone_fails_readably(store: Store) -> None:
    with store.database.write() as session:
        payload = ImportPayload(file_id=store.owner_id, max_bytes=10**7)
        job = enqueue(session, owner_id=store.owner_id, kind=CONTACTS_IMPORT, payload=payload)
        session.commit()
    assert run(store, job.id) is Outcome.FAILED
    assert count(store) == 0


def export(store: Store, file_format: str) -> UUID:
    with store.database.write() as session:
        payload = ExportPayload(format=ExportFormat(file_format))
        job = enqueue(session, owner_id=store.owner_id, kind=CONTACTS_EXPORT, payload=payload)
        session.commit()
        return job.id


def exported(store: Store, job_id: UUID, name: str) -> bytes:
    with store.database.read() as session:
        file = FileStore().find(session, job_id, name)
    assert file is not None
    assert file.owner_id == store.owner_id
    data = b"".join(FileStore().read(store.database, file.id))
    assert len(data) == file.size_bytes
    return data


@pytest.mark.parametrize("file_format", ["csv", "ndjson"])
def test_contacts_become_a_file_that_an_import_takes_back(store: Store, file_format: str) -> None:
    rows = b"".join(b'e%d,Zo\xc3\xab %d,"[""a"",""b""]"\n' % (n, n) for n in range(2500))
    assert run(store, upload(store, b"external_id,name,tags\n" + rows)) is Outcome.SUCCEEDED
    job_id = export(store, file_format)
    assert run(store, job_id) is Outcome.SUCCEEDED
    data = exported(store, job_id, f"contacts.{file_format}")
    job = store.job(job_id)
    assert job.result == {"format": file_format, "rows": 2500, "bytes": len(data)}
    assert job.progress == {"done": 2500, "total": 2500, "unit": "contacts"}
    again = upload(store, data, on_conflict="update")
    assert run(store, again) is Outcome.SUCCEEDED
    result = store.job(again).result
    assert result is not None
    assert (result["rows"], result["skipped"], result["ignored_columns"]) == (2500, 2500, [])


def test_an_export_whose_worker_stops_at_every_chunk_is_written_as_in_one_go(store: Store) -> None:
    assert run(store, upload(store, b"name\n" + b"".join(b"N%d\n" % n for n in range(3500)))) is Outcome.SUCCEEDED
    whole, job_id = export(store, "csv"), export(store, "csv")
    assert run(store, whole) is Outcome.SUCCEEDED
    seen: list[int | None] = []
    while store.job(job_id).state is not JobState.SUCCEEDED:
        checks = iter([False, False, False, True])  # each chunk asks twice: one gets through, then the worker stops
        runner = Runner(
            Stores({"api": "unused"}, lambda url: store.of_worker), make_registry(), is_stopping=checks.__next__
        )
        runner.run("api", job_id)
        progress = store.job(job_id).progress
        seen.append(progress and progress["done"])
    assert seen == [1000, 2000, 3000, 3500]
    assert exported(store, job_id, "contacts.csv") == exported(store, whole, "contacts.csv")
