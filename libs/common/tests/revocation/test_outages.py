"""The server goes away, hangs, comes back, and forgets: tables keep what they hold, and say how old it is."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from common.ids import new_id
from common.revocation import RevocationPublisher, RevokedSessions, metrics
from common.revocation.stream import EPOCH, STREAM, session_entry
from common.testing.valkey import ValkeyServer
from common.testing.waiting import eventually

MakeSessions = Callable[..., RevokedSessions]


class SettableMonotonic:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def messages(capsys: pytest.CaptureFixture[str], event: str) -> int:
    return capsys.readouterr().out.count(event)


def test_a_server_that_is_gone_leaves_the_table_as_it_is_and_its_age_grows(
    make_sessions: MakeSessions, publisher: RevocationPublisher, valkey: ValkeyServer
) -> None:
    time_passes = SettableMonotonic()
    table, sid = make_sessions(monotonic=time_passes), new_id()
    publisher.publish([sid])
    eventually(lambda: table.is_fresh() and table.is_revoked(sid))
    valkey.kill()
    eventually(lambda: not table.is_listening)
    time_passes.now += 30
    assert (table.age_seconds, table.is_fresh()) == (30, True)
    time_passes.now += 0.1
    assert not table.is_fresh()
    assert table.is_revoked(sid)


def test_it_comes_back_empty_and_is_not_trusted_before_somebody_has_filled_it(
    make_sessions: MakeSessions, publisher: RevocationPublisher, valkey: ValkeyServer
) -> None:
    time_passes = SettableMonotonic()
    table, sid = make_sessions(monotonic=time_passes), new_id()
    publisher.publish([sid])
    eventually(lambda: table.is_fresh() and table.is_revoked(sid))
    generation, resets = table.stream_generation, metrics.resets._value.get()
    valkey.kill()
    eventually(lambda: not table.is_listening)
    time_passes.now += 31
    valkey.start()
    eventually(lambda: table.stream_generation > generation and table.is_listening)
    assert metrics.resets._value.get() == resets + 1
    assert not table.stream_is_vouched_for
    assert not table.is_fresh()
    assert table.is_revoked(sid)
    assert table.absent_from_stream({sid: 1}) == {sid: 1}
    assert publisher.republish({sid: int(time.time()) + 60})
    publisher.vouch()
    eventually(table.is_fresh)
    assert table.absent_from_stream({sid: 1}) == {}


def test_losing_all_data_at_once_followed_by_new_entries_is_noticed(
    make_sessions: MakeSessions, publisher: RevocationPublisher, valkey: ValkeyServer
) -> None:
    table, old, new = make_sessions(), new_id(), new_id()
    publisher.publish([old])
    eventually(lambda: table.is_fresh() and table.is_revoked(old))
    generation = table.stream_generation
    with valkey.client() as client:
        client.flushall()
        publisher.publish([new])
        client.set(EPOCH, "another")
    eventually(lambda: table.stream_generation > generation and table.is_fresh() and table.is_revoked(new))
    eventually(lambda: table.absent_from_stream({old: 1, new: 1}) == {old: 1})
    assert table.is_revoked(old)


def test_losing_only_the_newest_entries_is_noticed_although_the_epoch_is_the_same(
    make_sessions: MakeSessions, publisher: RevocationPublisher, valkey: ValkeyServer
) -> None:
    """A crash of the server's machine, or a failover to a replica behind it."""
    table, kept, lost, later = make_sessions(), new_id(), new_id(), new_id()
    publisher.publish([kept])
    publisher.publish([lost])
    eventually(lambda: table.is_fresh() and table.is_revoked(lost))
    generation = table.stream_generation
    with valkey.client() as client:
        [(newest, _)] = client.xrevrange(STREAM, count=1)
        client.xdel(STREAM, newest)
        publisher.publish([later])
    eventually(lambda: table.stream_generation > generation and table.is_fresh() and table.is_revoked(later))
    assert table.is_revoked(lost)
    eventually(lambda: table.absent_from_stream({kept: 1, lost: 1, later: 1}) == {lost: 1})


def test_an_epoch_that_vouches_for_less_than_it_did_is_named(
    make_sessions: MakeSessions, publisher: RevocationPublisher, valkey: ValkeyServer
) -> None:
    """The stream was deleted or evicted alone, and who begins now would believe what is left of it."""
    table, broken = make_sessions(), list[str]()
    table.on_broken_epoch(broken.append)
    publisher.publish([new_id()])
    eventually(lambda: table.is_fresh() and len(table._revoked) == 1)
    with valkey.client() as client:
        epoch = client.get(EPOCH)
        client.delete(STREAM)
        eventually(lambda: broken == [epoch])
        publisher.withdraw("another")
        assert client.get(EPOCH) == epoch
        publisher.withdraw(epoch)
        assert client.get(EPOCH) is None
    newcomer = make_sessions()
    eventually(lambda: newcomer.is_listening)
    assert not newcomer.is_fresh()


def test_a_new_epoch_is_not_taken_for_a_broken_one(
    make_sessions: MakeSessions, publisher: RevocationPublisher, valkey: ValkeyServer
) -> None:
    """Another process noticed first, filled the stream and vouches for it again."""
    table, broken = make_sessions(), list[str]()
    table.on_broken_epoch(broken.append)
    publisher.publish([new_id()])
    eventually(lambda: table.is_fresh() and len(table._revoked) == 1)
    generation = table.stream_generation
    with valkey.client() as client:
        refill = client.pipeline()
        refill.flushall()
        refill.xadd(STREAM, session_entry(sid := new_id(), int(time.time()) + 60))
        refill.set(EPOCH, "new")
        refill.execute()
    eventually(lambda: table.stream_generation > generation and table.is_revoked(sid) and table.is_fresh())
    assert broken == []


def test_a_quiet_stream_is_not_taken_for_a_lost_one(
    make_sessions: MakeSessions, publisher: RevocationPublisher, valkey: ValkeyServer
) -> None:
    table = make_sessions(block_seconds=0.02)
    eventually(table.is_fresh)
    publisher.publish([new_id()])
    generation = table.stream_generation
    heard_at = table.age_seconds
    time.sleep(0.5)
    assert table.is_fresh()
    assert table.stream_generation == generation
    assert heard_at is not None


def test_an_outage_is_logged_once_and_its_end_too(
    make_sessions: MakeSessions,
    publisher: RevocationPublisher,
    valkey: ValkeyServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("common.revocation.sessions.LONGEST_PAUSE_SECONDS", 0.05)
    table = make_sessions()
    eventually(table.is_fresh)
    valkey.kill()
    eventually(lambda: table._failures >= 5)
    for _ in range(3):
        publisher.publish([new_id()])
    told = capsys.readouterr().out
    assert (told.count("revocations_not_heard"), told.count("revocations_not_published")) == (1, 1)
    valkey.start()
    eventually(lambda: "revocations_heard_again" in capsys.readouterr().out)
    eventually(lambda: table.is_listening)


def test_publishing_to_a_server_that_is_gone_or_hangs_costs_little_and_raises_nothing(
    publisher: RevocationPublisher, valkey: ValkeyServer
) -> None:
    count = metrics.published.labels("failed")._value
    before = count.get()
    valkey.freeze()
    started = time.monotonic()
    publisher.publish([new_id()])
    publisher.keys_changed()
    publisher.vouch()
    assert not publisher.republish({new_id(): 1})
    assert time.monotonic() - started < 15
    valkey.kill()
    publisher.publish([new_id()])
    assert count.get() == before + 3
    valkey.start()
    publisher.publish([new_id()])
    assert count.get() == before + 3


def test_a_server_that_hangs_is_given_up_and_found_again(
    make_sessions: MakeSessions,
    publisher: RevocationPublisher,
    valkey: ValkeyServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("common.revocation.sessions.ANSWER_SECONDS", 0.2)
    table, sid = make_sessions(), new_id()
    eventually(table.is_fresh)
    valkey.freeze()
    eventually(lambda: not table.is_listening)
    valkey.thaw()
    publisher.publish([sid])
    eventually(lambda: table.is_revoked(sid) and table.is_listening)


def test_stopping_interrupts_a_wait_and_the_table_stays(
    make_sessions: MakeSessions, publisher: RevocationPublisher
) -> None:
    table, sid = make_sessions(block_seconds=60), new_id()
    publisher.publish([sid])
    eventually(lambda: table.is_fresh() and table.is_revoked(sid))
    thread = table._loop._thread
    assert thread is not None
    started = time.monotonic()
    table.stop()
    thread.join(20)
    assert not thread.is_alive()
    assert time.monotonic() - started < 20
    assert table.is_revoked(sid)


def test_a_url_that_nobody_answers_makes_nobody_wait(free_port: Callable[[], int]) -> None:
    table = RevokedSessions(f"redis://127.0.0.1:{free_port()}/0")
    table.start()
    eventually(lambda: table._failures >= 2)
    assert not table.is_fresh()
    assert not table.is_revoked(new_id())
    table.stop()


def entries_of(valkey: ValkeyServer) -> list[Any]:
    with valkey.client() as client:
        return list(client.xrange(STREAM))


def test_an_entry_of_a_session_holds_its_id_and_a_time_and_nothing_else(
    publisher: RevocationPublisher, valkey: ValkeyServer
) -> None:
    sid = new_id()
    publisher.publish([sid])
    fields = entries_of(valkey)[-1][1]
    assert fields == session_entry(sid, int(fields["exp"]))
    assert abs(int(fields["exp"]) - time.time() - 3690) < 60


def test_an_entry_that_was_trimmed_for_its_age_is_no_loss(
    make_sessions: MakeSessions, publisher: RevocationPublisher, valkey: ValkeyServer
) -> None:
    with valkey.client() as client:
        client.delete(STREAM)
        client.xadd(STREAM, session_entry(new_id(), 1), id=f"{(int(time.time()) - 4000) * 1000}-0")
        table, sid = make_sessions(), new_id()
        eventually(table.is_fresh)
        generation = table.stream_generation
        publish = client.pipeline()
        publish.xadd(STREAM, {**session_entry(sid, int(time.time()) + 60)})
        publish.xtrim(STREAM, maxlen=1, approximate=False)
        publish.execute()
    eventually(lambda: table.is_revoked(sid) and table.is_fresh())
    assert table.stream_generation == generation
