"""How many jobs an owner may have, and where the files of jobs are, are settings."""

import io
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from api_service.job_store import EXTENSION, JobStore
from common.db import Database
from flask import Flask
from jobs import transitions
from jobs.files import FileStore, PieceDirectory
from jobs.models import Job
from sqlalchemy import select

IMPORTS, EXPORTS = "/api/v1/contacts/imports", "/api/v1/contacts/exports"


def start_import(user: Any) -> Any:
    return user.post(IMPORTS, data={"file": (io.BytesIO(b"name\nAnn\n"), "contacts.csv")})


def start_export(user: Any) -> Any:
    return user.post(EXPORTS, json={"format": "csv"})


@pytest.mark.parametrize("start", [start_import, start_export])
def test_an_owner_with_too_many_unfinished_jobs_is_told_to_wait(
    user: Any, app: Flask, database: Database, start: Any
) -> None:
    app.extensions[EXTENSION] = JobStore(max_unfinished=2)
    assert [start(user).status_code for _ in range(3)] == [202, 202, 429]
    refused = start(user)
    assert refused.headers["Retry-After"] == "60"
    assert refused.get_json()["code"] == "too-many-jobs"
    with database.write() as session:
        transitions.cancel_queued(session, session.scalars(select(Job.id)).first())  # type: ignore[arg-type] # there are two
        session.commit()
    assert start(user).status_code == 202


def test_uploads_go_to_the_directory_of_the_setting(user: Any, app: Flask, database: Database, tmp_path: Path) -> None:
    files = FileStore(PieceDirectory(tmp_path / "api"))
    app.extensions[EXTENSION] = JobStore(files)
    assert start_import(user).status_code == 202
    [piece] = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert piece.read_bytes() == b"name\nAnn\n"
    with database.read() as session:
        [job] = session.scalars(select(Job))
    assert b"".join(files.read(database, UUID(job.payload["file_id"]))) == b"name\nAnn\n"


def test_an_upload_refused_for_too_many_jobs_leaves_no_file(user: Any, app: Flask, tmp_path: Path) -> None:
    app.extensions[EXTENSION] = JobStore(FileStore(PieceDirectory(tmp_path / "api")), max_unfinished=1)
    assert [start_import(user).status_code for _ in range(3)] == [202, 429, 429]
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


def test_the_setting_is_the_one_of_the_worker(app: Flask, tmp_path: Path) -> None:
    settings = app.extensions["settings"].model_copy(update={"job_files": str(tmp_path), "jobs_max_unfinished": 5})
    assert JobStore.of(settings) == JobStore(FileStore(PieceDirectory(tmp_path / "api")), 5)
    assert app.extensions[EXTENSION] == JobStore()
