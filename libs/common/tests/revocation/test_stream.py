"""What is published reaches everybody: those who wait, those who come later, and nobody longer than needed."""

import time
from collections.abc import Callable

import pytest
from common.clock import utc_now
from common.ids import new_id
from common.revocation import WINDOW_SECONDS, RevocationPublisher, RevokedSessions, metrics
from common.revocation.stream import BATCH, EPOCH, STREAM, event_entry, session_entry
from common.testing.clock import SettableClock
from common.testing.valkey import ValkeyServer
from common.testing.waiting import eventually

MakeSessions = Callable[..., RevokedSessions]


def now() -> int:
    return int(time.time())


def test_what_is_published_reaches_everybody_who_listens(
    make_sessions: MakeSessions, publisher: RevocationPublisher
) -> None:
    tables = [make_sessions(), make_sessions()]
    for table in tables:
        eventually(table.is_fresh)
    sids = [new_id(), new_id()]
    publisher.publish(sids)
    for table in tables:
        eventually(lambda table=table: all(map(table.is_revoked, sids)))
        assert not table.is_revoked(new_id())


def test_who_begins_later_is_told_everything_before_it_counts_as_fresh(
    make_sessions: MakeSessions, publisher: RevocationPublisher
) -> None:
    sids = [new_id() for _ in range(2 * BATCH + 1)]
    publisher.publish(sids)
    table = make_sessions()
    eventually(table.is_fresh)
    assert all(map(table.is_revoked, sids))


def test_a_stream_nobody_vouches_for_tells_what_it_has_and_makes_nobody_fresh(
    make_sessions: MakeSessions, valkey: ValkeyServer
) -> None:
    publisher = RevocationPublisher(valkey.url)
    table, sid = make_sessions(), new_id()
    publisher.publish([sid])
    eventually(lambda: table.is_revoked(sid) and table.is_listening)
    assert not table.is_fresh()
    assert table.age_seconds is None
    publisher.vouch()
    eventually(table.is_fresh)


def test_it_is_vouched_for_once(publisher: RevocationPublisher, valkey: ValkeyServer) -> None:
    with valkey.client() as client:
        epoch = client.get(EPOCH)
        publisher.vouch()
        assert client.get(EPOCH) == epoch
        assert client.xlen(STREAM) == 1


def test_the_own_process_is_told_first_and_also_without_a_stream() -> None:
    table, sid = RevokedSessions(None), new_id()
    RevocationPublisher(None, tell_own_process=table.add).publish([sid])
    assert table.is_revoked(sid)
    assert not table.is_fresh()


def test_nothing_is_published_for_nobody(publisher: RevocationPublisher, valkey: ValkeyServer) -> None:
    publisher.publish([])
    with valkey.client() as client:
        assert client.xlen(STREAM) == 1


def test_many_sessions_at_once_all_arrive(publisher: RevocationPublisher, valkey: ValkeyServer) -> None:
    publisher.publish([new_id() for _ in range(1234)])
    with valkey.client() as client:
        assert client.xlen(STREAM) == 1235


def test_what_is_published_is_counted(publisher: RevocationPublisher) -> None:
    count = metrics.published.labels("published")._value
    before = count.get()
    publisher.publish([new_id(), new_id()])
    assert count.get() == before + 2


def test_a_session_is_forgotten_when_its_last_token_has_expired(
    make_sessions: MakeSessions, valkey: ValkeyServer, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.revocation.sessions.PURGE_SECONDS", 0)
    publisher = RevocationPublisher(valkey.url, clock=clock)
    publisher.vouch()
    table, first, second = make_sessions(clock=clock), new_id(), new_id()
    publisher.publish([first])
    clock.advance(60)
    publisher.publish([second])
    eventually(lambda: table.is_revoked(second))
    clock.advance(WINDOW_SECONDS - 61)
    assert table.is_revoked(first)
    clock.advance(1)
    eventually(lambda: not table.is_revoked(first))
    assert table.is_revoked(second)


def test_a_publisher_whose_clock_is_ahead_trims_by_the_servers(valkey: ValkeyServer) -> None:
    """A publisher whose clock is a day ahead must not throw away what others still have to learn."""
    tomorrow = SettableClock(utc_now())
    tomorrow.advance(86400)
    with valkey.client() as client:
        old, recent = (now() - WINDOW_SECONDS - 5) * 1000, (now() - WINDOW_SECONDS + 60) * 1000
        for moment in [*range(old - 500, old), *range(recent, recent + 500)]:
            client.xadd(STREAM, session_entry(new_id(), now()), id=f"{moment}-0")
        RevocationPublisher(valkey.url, clock=tomorrow).publish([new_id()])
        left = [int(entry.partition("-")[0]) for entry, _ in client.xrange(STREAM)]
        assert sum(moment >= recent for moment in left) == 501
        # The server trims whole nodes of about a hundred entries.
        assert sum(moment < recent for moment in left) <= 200


def test_a_clock_of_the_server_that_is_ahead_throws_nothing_away_either(
    make_sessions: MakeSessions, publisher: RevocationPublisher, valkey: ValkeyServer
) -> None:
    """It was put right by two hours, or another server with such a clock took over."""
    sids = [new_id() for _ in range(300)]
    publisher.publish(sids)
    with valkey.client() as client:
        client.xadd(STREAM, event_entry("later"), id=f"{(now() + 7200) * 1000}-0")
    publisher.publish([new_id()])
    table = make_sessions()
    eventually(table.is_fresh)
    assert all(map(table.is_revoked, sids))


def test_entries_it_cannot_read_are_passed_over(
    make_sessions: MakeSessions, publisher: RevocationPublisher, valkey: ValkeyServer
) -> None:
    table, sid = make_sessions(), new_id()
    with valkey.client() as client:
        for fields in ({"sid": "x", "exp": "1"}, {"sid": str(new_id())}, {"later": "1"}, {"sid": str(sid), "exp": "z"}):
            client.xadd(STREAM, fields)
        client.xadd(STREAM, event_entry("of a later release"))
        client.execute_command("XADD", STREAM, "*", b"sid", b"\xff\xfe", b"exp", b"1")
    publisher.publish([sid])
    eventually(lambda: table.is_revoked(sid) and table.is_fresh())


def test_changed_keys_are_told_whoever_asked_to_hear_of_them(
    make_sessions: MakeSessions, publisher: RevocationPublisher
) -> None:
    heard: list[str] = []

    def fail() -> None:
        heard.append("first")
        raise RuntimeError

    table = make_sessions()
    table.on_keys_changed(fail)
    table.on_keys_changed(lambda: heard.append("second"))
    eventually(table.is_fresh)
    assert heard == []
    publisher.keys_changed()
    eventually(lambda: heard == ["first", "second"])
    sid = new_id()
    publisher.publish([sid])
    eventually(lambda: table.is_revoked(sid))
    assert heard == ["first", "second"]
