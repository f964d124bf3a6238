"""A request that the database fails is answered 503, never a bare 500; a fault of ours stays one."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from common.access import public
from common.config import DatabaseSettings, WebSettings, load_settings
from common.db import Database
from common.redprint import Redprint
from common.web.app import create_app
from common.web.sessions import read_session, write_session
from flask import Blueprint
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError


class _Settings(WebSettings, DatabaseSettings):
    """A web service with a database."""


def _client_of(database: Database, handler: Callable[[], None]) -> FlaskClient:
    rp = Redprint("things")
    rp.get("", access=public, endpoint="ask")(handler)
    v1 = Blueprint("v1", __name__, url_prefix="/api/v1")
    rp.register(v1)
    env = {"APP_ENV": "testing", "DATABASE_URL": str(database.url), "AUTH_ISSUER": "https://auth.example.test"}
    settings = load_settings(_Settings, env)
    return create_app(__name__, settings, blueprints=[v1], problems={}, database=database).test_client()


def _ask(statement: str) -> Callable[[], None]:
    def handler() -> None:
        read_session().execute(text(statement))

    return handler


def _assert_unavailable(client: FlaskClient) -> None:
    answer = client.get("/api/v1/things")
    assert (answer.status_code, answer.get_json()["code"]) == (503, "database-unavailable")
    assert answer.content_type == "application/problem+json"
    assert int(answer.headers["Retry-After"]) > 0


def test_a_server_nobody_listens_at_is_answered_503() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        _assert_unavailable(_client_of(Database(f"mysql+pymysql://u:p@127.0.0.1:{port}/x"), _ask("SELECT 1")))


def test_a_sqlite_file_in_a_folder_that_is_gone_is_answered_503(tmp_path: Path) -> None:
    _assert_unavailable(_client_of(Database(f"sqlite:///{tmp_path}/gone/x.db"), _ask("SELECT 1")))


def test_a_pool_without_a_free_connection_is_answered_503(make_database: Callable[[None], Database]) -> None:
    database = make_database(None)

    def handler() -> None:
        raise PoolTimeoutError("QueuePool limit reached")

    _assert_unavailable(_client_of(database, handler))


@pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
def test_a_deadlock_that_outlived_its_retries_is_answered_503(make_database: Callable[[None], Database]) -> None:
    def handler() -> None:
        write_session().execute(text("SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'Deadlock'"))

    _assert_unavailable(_client_of(make_database(None), handler))


def test_a_statement_that_is_wrong_stays_a_500(make_database: Callable[[None], Database]) -> None:
    answer = _client_of(make_database(None), _ask("SELECT * FROM no_such_table")).get("/api/v1/things")
    assert (answer.status_code, answer.get_json()["code"]) == (500, "internal-server-error")
