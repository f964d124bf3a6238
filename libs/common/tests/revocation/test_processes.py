"""Processes: a forked child listens for itself, and the server's user for this may do all of it and little more."""

import os
import re
import sys
import traceback
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from common.ids import new_id
from common.revocation import RevocationPublisher, RevokedSessions
from common.revocation.stream import EPOCH
from common.testing.valkey import ValkeyServer
from common.testing.waiting import eventually
from redis import Redis
from redis.exceptions import NoPermissionError

MakeSessions = Callable[..., RevokedSessions]
CHART = Path(__file__).parents[4] / "charts/valkey/templates/config.yaml"


def in_child(check: Callable[[], object]) -> int:
    """Run `check` in a forked process and return its exit status."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    try:
        check()
    except BaseException:
        traceback.print_exc(file=sys.stderr)
        os._exit(1)
    os._exit(0)


def test_a_forked_worker_starts_its_own_thread(publisher: RevocationPublisher, valkey: ValkeyServer) -> None:
    """As gunicorn does it: the master makes the application and never listens."""
    table, sid = RevokedSessions(valkey.url, block_seconds=0.3), new_id()

    def serve() -> None:
        table.start()
        eventually(table.is_fresh)
        publisher.publish([sid])
        eventually(lambda: table.is_revoked(sid))
        table.stop()

    assert in_child(serve) == 0
    assert not table.is_revoked(sid)


def test_a_fork_of_a_process_that_listens_knows_what_it_knew_and_listens_for_itself(
    make_sessions: MakeSessions, publisher: RevocationPublisher
) -> None:
    table, before, after = make_sessions(), new_id(), new_id()
    publisher.publish([before])
    eventually(lambda: table.is_fresh() and table.is_revoked(before))

    def serve() -> None:
        assert table.is_revoked(before)
        assert not table.is_fresh()
        table.start()
        eventually(table.is_fresh)
        publisher.publish([after])
        eventually(lambda: table.is_revoked(after))

    assert in_child(serve) == 0
    eventually(lambda: table.is_revoked(after) and table.is_fresh())


@pytest.fixture
def guarded(make_valkey: Callable[..., ValkeyServer], tmp_path: Path) -> str:
    """The URL of the user `state` on a server with the users of the chart."""
    password = "state-password"
    rules = re.search(r"^ *(user state on .*)$", CHART.read_text(encoding="utf-8"), re.MULTILINE)
    assert rules is not None
    acl = tmp_path / "users.acl"
    user = rules[1].replace("{state}", sha256(password.encode()).hexdigest())
    acl.write_text(f"user default off resetchannels -@all\n{user}\n")
    server = make_valkey("--aclfile", str(acl))
    return f"redis://state:{password}@127.0.0.1:{server.port}/0"


def test_the_user_of_the_chart_may_do_all_of_it(guarded: str, make_sessions: MakeSessions) -> None:
    heard: list[str] = []
    publisher = RevocationPublisher(guarded)
    table, sid = make_sessions(guarded), new_id()
    table.on_keys_changed(lambda: heard.append("keys"))
    publisher.vouch()
    publisher.publish([sid])
    publisher.keys_changed()
    eventually(lambda: table.is_fresh() and table.is_revoked(sid) and heard)
    assert publisher.republish({new_id(): 1})
    with Redis.from_url(guarded, decode_responses=True) as client:
        publisher.withdraw(client.get(EPOCH))
        assert not client.exists(EPOCH)


def test_that_user_reaches_no_other_key(guarded: str) -> None:
    with Redis.from_url(guarded) as client, pytest.raises(NoPermissionError):
        client.get("celery")
