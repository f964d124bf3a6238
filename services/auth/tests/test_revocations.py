"""The revocation stream follows the database, whatever happens to either."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from auth_service.app import create_app
from auth_service.config import AuthSettings
from auth_service.models import Session, User
from auth_service.revocations import JITTER, RECONCILE_SECONDS, Reconciler
from common.clock import utc_now
from common.db import Database
from common.ids import new_id
from common.revocation import RevocationPublisher, RevokedSessions, metrics
from common.revocation.stream import EPOCH, STREAM, TURN
from common.testing.valkey import ValkeyServer
from common.testing.waiting import eventually
from common.web.lifecycle import start_worker, stop_worker
from flask import Flask
from pydantic import SecretStr
from sqlalchemy import text

only_sqlite = pytest.mark.parametrize("database_backend", ["sqlite"], indirect=True)


@pytest.fixture
def database(owner: Database, database_url: str, as_role: Callable[[str, str, str], str]) -> Iterator[Database]:
    """As the application opens it, with what its user may do."""
    database = Database(as_role(database_url, "auth_service", "app"))
    yield database
    database.dispose()


@pytest.fixture
def revoke(owner: Database) -> Callable[..., list[UUID]]:
    """Ends sessions in the database alone, as a process does that dies before it publishes; returns their ids."""
    user_id = new_id()
    now = utc_now()
    with owner.write() as session:
        session.add(
            User(
                id=user_id,
                email=f"{user_id}@example.com",
                email_key=f"{user_id}@example.com",
                password_hash="x",
                password_scheme=1,
                password_changed_at=now,
                status="active",
                created_at=now,
                updated_at=now,
            )
        )
        session.commit()

    def end(count: int = 1, *, at: datetime | None = None) -> list[UUID]:
        sids = [new_id() for _ in range(count)]
        moment = utc_now()
        with owner.write() as session:
            session.add_all(
                Session(
                    id=sid,
                    user_id=user_id,
                    client_id="redprint",
                    audience="api",
                    auth_time=moment,
                    last_used_at=moment,
                    idle_expires_at=moment,
                    absolute_expires_at=moment,
                    revoked_at=at or moment,
                )
                for sid in sids
            )
            session.commit()
        return sids

    return end


class Process:
    """What a process of auth has of all this; its listener runs, and the reconciler when the test says so."""

    def __init__(self, url: str, database: Database, **options: Any) -> None:
        self.revocations = RevokedSessions(url, block_seconds=0.2)
        self.publisher = RevocationPublisher(url, tell_own_process=self.revocations.add)
        self.reconciler = Reconciler(database, self.revocations, self.publisher, utc_now, **options)
        self.revocations.start()

    def knows(self, sids: list[UUID]) -> bool:
        return all(map(self.revocations.is_revoked, sids))

    def has_heard(self, sids: list[UUID]) -> bool:
        return not self.revocations.absent_from_stream(dict.fromkeys(sids, 0))

    def close(self) -> None:
        self.reconciler.stop()
        self.revocations.stop()
        self.publisher.close()


@pytest.fixture
def make_process(valkey: ValkeyServer, database: Database) -> Iterator[Callable[..., Process]]:
    made: list[Process] = []

    def make(database: Database = database, **options: Any) -> Process:
        made.append(Process(valkey.url, database, **options))
        eventually(lambda: made[-1].revocations.is_listening)
        return made[-1]

    yield make
    for process in made:
        process.close()


@pytest.fixture
def listen(valkey: ValkeyServer) -> Iterator[Callable[[], RevokedSessions]]:
    """Starts processes of another service, which know the stream alone."""
    made: list[RevokedSessions] = []

    def start() -> RevokedSessions:
        made.append(RevokedSessions(valkey.url, block_seconds=0.2))
        made[-1].start()
        return made[-1]

    yield start
    for sessions in made:
        sessions.stop()


def test_what_was_not_published_is_looked_for_within_five_seconds() -> None:
    """As docs/security.md promises; some time is left for the question itself."""
    assert RECONCILE_SECONDS * (1 + JITTER) <= 4.8


def test_the_first_round_fills_the_stream_and_vouches_for_it(
    make_process: Callable[..., Process], listen: Callable[[], RevokedSessions], revoke: Callable[..., list[UUID]]
) -> None:
    sids = revoke(3)
    other = listen()
    eventually(lambda: other.is_listening)
    assert not other.is_fresh()
    make_process().reconciler.reconcile()
    eventually(other.is_fresh)
    assert all(map(other.is_revoked, sids))


def test_what_was_not_published_is_published_in_the_next_round(
    make_process: Callable[..., Process], listen: Callable[[], RevokedSessions], revoke: Callable[..., list[UUID]]
) -> None:
    process, other = make_process(), listen()
    process.reconciler.reconcile()
    eventually(other.is_fresh)
    sids = revoke()
    eventually(lambda: process.revocations.is_listening)
    process.reconciler.reconcile()
    eventually(lambda: other.is_revoked(sids[0]))


def test_what_the_stream_holds_is_not_published_again(
    make_process: Callable[..., Process], revoke: Callable[..., list[UUID]], valkey: ValkeyServer
) -> None:
    processes = [make_process(), make_process()]
    sids = revoke(5)
    for process in processes:
        process.reconciler.reconcile()
        eventually(lambda: all(each.has_heard(sids) and each.revocations.is_fresh() for each in processes))
    for process in processes * 2:
        process.reconciler.reconcile()
    with valkey.client() as client:
        assert client.xlen(STREAM) == 5 + 1  # and that it is complete


def test_only_those_whose_tokens_may_still_be_valid_are_published(
    make_process: Callable[..., Process], revoke: Callable[..., list[UUID]], valkey: ValkeyServer
) -> None:
    [old] = revoke(at=utc_now() - timedelta(seconds=3700))
    [young] = revoke(at=utc_now() - timedelta(seconds=3600))
    process = make_process()
    process.reconciler.reconcile()
    assert process.knows([young])
    assert not process.knows([old])
    with valkey.client() as client:
        [expiry] = [int(fields["exp"]) for _, fields in client.xrange(STREAM) if fields.get("sid") == str(young)]
    assert abs(expiry - time.time() - 90) < 30


@only_sqlite
def test_data_lost_at_once_followed_by_new_entries_comes_back_from_the_database(
    make_process: Callable[..., Process],
    listen: Callable[[], RevokedSessions],
    revoke: Callable[..., list[UUID]],
    valkey: ValkeyServer,
) -> None:
    process, witness = make_process(), listen()
    old = revoke(600)
    process.reconciler.reconcile()
    eventually(lambda: witness.is_fresh() and process.has_heard(old))
    with valkey.client() as client:
        client.flushall()
    process.publisher.publish(new := revoke(2))
    eventually(lambda: not process.revocations.stream_is_vouched_for and process.revocations.is_listening)
    assert all(map(witness.is_revoked, old))
    newcomer = listen()
    eventually(lambda: newcomer.is_listening)
    assert not newcomer.is_fresh()
    process.reconciler.reconcile()
    eventually(newcomer.is_fresh)
    assert all(map(newcomer.is_revoked, [*old, *new]))
    eventually(witness.is_fresh)


@only_sqlite
def test_a_stream_that_is_deleted_alone_is_not_vouched_for_until_it_is_filled_again(
    make_process: Callable[..., Process],
    listen: Callable[[], RevokedSessions],
    revoke: Callable[..., list[UUID]],
    valkey: ValkeyServer,
) -> None:
    sids = revoke(3)
    processes = [make_process(), make_process()]
    for process in processes:
        process.reconciler.reconcile()
    eventually(lambda: all(process.has_heard(sids) and process.revocations.is_fresh() for process in processes))
    with valkey.client() as client:
        client.delete(STREAM)
        eventually(lambda: client.get(EPOCH) is None)
    newcomer = listen()
    eventually(lambda: newcomer.is_listening)
    assert not newcomer.is_fresh()
    for process in processes:
        eventually(lambda process=process: process.revocations.is_listening)
        process.reconciler.reconcile()
    eventually(newcomer.is_fresh)
    assert all(map(newcomer.is_revoked, sids))


@only_sqlite
def test_a_stream_vouched_for_while_it_was_emptied_is_filled_in_the_next_round(
    make_process: Callable[..., Process],
    listen: Callable[[], RevokedSessions],
    revoke: Callable[..., list[UUID]],
    valkey: ValkeyServer,
) -> None:
    process = make_process()
    sids = revoke(3)
    process.reconciler.reconcile()
    with valkey.client() as client:
        client.flushall()
        client.set(EPOCH, "by one who had just published, a moment too late")
    eventually(lambda: process.revocations.is_fresh() and not process.has_heard(sids))
    eventually(lambda: process.revocations.is_listening)
    process.reconciler.reconcile()
    newcomer = listen()
    eventually(newcomer.is_fresh)
    assert all(map(newcomer.is_revoked, sids))


@only_sqlite
def test_what_was_revoked_in_an_outage_is_published_after_it_however_long_it_was(
    make_process: Callable[..., Process],
    listen: Callable[[], RevokedSessions],
    revoke: Callable[..., list[UUID]],
    valkey: ValkeyServer,
) -> None:
    process = make_process()
    process.reconciler.reconcile()
    eventually(process.revocations.is_fresh)
    process.reconciler.reconcile()
    valkey.kill()
    eventually(lambda: not process.revocations.is_listening)
    early = revoke(at=utc_now() - timedelta(seconds=1000))
    process.publisher.publish(late := revoke())
    process.reconciler.reconcile()
    assert process.knows(late)
    assert process.revocations.is_fresh()
    valkey.start()
    eventually(lambda: process.revocations.is_listening)
    process.reconciler.reconcile()
    newcomer = listen()
    eventually(newcomer.is_fresh)
    assert all(map(newcomer.is_revoked, [*early, *late]))


def test_strict_routes_of_auth_need_the_database_and_no_stream(
    database: Database, revoke: Callable[..., list[UUID]], free_port: Callable[[], int]
) -> None:
    process = Process(f"redis://127.0.0.1:{free_port()}/0", database)
    sids = revoke(2)
    assert not process.revocations.is_fresh()
    process.reconciler.reconcile()
    assert process.revocations.is_fresh()
    assert process.knows(sids)
    process.close()


def test_a_database_that_is_away_ends_nothing_and_is_logged_once(
    make_process: Callable[..., Process],
    owner: Database,
    revoke: Callable[..., list[UUID]],
    capsys: pytest.CaptureFixture[str],
    free_port: Callable[[], int],
) -> None:
    away = Database(f"mysql+pymysql://auth:x@127.0.0.1:{free_port()}/auth")
    process = make_process(away, pause_seconds=0.01)
    process.reconciler.start()
    eventually(lambda: process.reconciler._is_failing)
    time.sleep(0.2)
    assert capsys.readouterr().out.count("revocations_not_reconciled") == 1
    assert not process.revocations.is_fresh()
    process.reconciler._database = owner
    sids = revoke()
    eventually(lambda: process.knows(sids) and process.has_heard(sids))
    away.dispose()


@only_sqlite
def test_one_process_that_took_its_turn_and_died_delays_the_others_only(
    make_process: Callable[..., Process], revoke: Callable[..., list[UUID]], valkey: ValkeyServer
) -> None:
    sids = revoke(300)
    process = make_process()
    with valkey.client() as client:
        assert process.publisher.take_turn()
        process.reconciler.reconcile()
        assert (client.xlen(STREAM), client.get(EPOCH)) == (0, None)
        assert 0 < client.ttl(TURN) <= 10
        client.delete(TURN)  # as time does
    process.reconciler.reconcile()
    eventually(lambda: process.has_heard(sids) and process.revocations.stream_is_vouched_for)


@only_sqlite
def test_many_processes_do_not_each_publish_everything(
    make_process: Callable[..., Process], revoke: Callable[..., list[UUID]], valkey: ValkeyServer
) -> None:
    """24 processes notice a loss of 1000 sessions at the same time."""
    sids = revoke(1000)
    processes = [make_process(pause_seconds=0.5) for _ in range(24)]
    before = metrics.published.labels("republished")._value.get()
    for process in processes:
        process.reconciler.start()
    eventually(lambda: all(process.has_heard(sids) and process.revocations.is_fresh() for process in processes), 120)
    published = metrics.published.labels("republished")._value.get() - before
    assert published <= 2 * 1000  # and not 24 times


@only_sqlite
def test_a72_a_logout_reaches_another_service_at_once(
    app: Flask,
    make_person: Callable[..., Any],
    valkey: ValkeyServer,
    listen: Callable[[], RevokedSessions],
) -> None:
    """The whole application, as a worker of gunicorn starts and stops it."""
    settings: AuthSettings = app.extensions["settings"]
    served = create_app(settings.model_copy(update={"state_url": SecretStr(valkey.url)}))
    start_worker(served)
    other = listen()
    eventually(other.is_fresh)
    person = make_person(served.test_client())
    tokens = person.tokens()
    session_id = served.extensions["token_verifier"].verify(tokens["access_token"]).sid
    assert not other.is_revoked(session_id)
    assert person.post("logout", {"refresh_token": tokens["refresh_token"]}).status_code == 204
    eventually(lambda: other.is_revoked(session_id))
    assert person.me(tokens["access_token"]).status_code == 401
    stop_worker(served)


@pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
def test_a_round_reads_an_index_and_no_rows(owner: Database, revoke: Callable[..., list[UUID]]) -> None:
    revoke(50)
    query = "EXPLAIN FORMAT=TRADITIONAL SELECT id, revoked_at FROM sessions WHERE revoked_at >= '2020-01-01'"
    with owner.read() as session:
        plan = session.execute(text(query)).mappings().one()
    assert plan["key"] == "ix_sessions_revoked_at"
    assert "Using index" in plan["Extra"]
