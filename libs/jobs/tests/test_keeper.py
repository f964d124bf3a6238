"""The thread beside a handler: what it still enforces when the lease is gone."""

import threading

import pytest
from common.testing.waiting import eventually
from jobs.errors import LeaseLost
from jobs.keeper import LeaseKeeper, Timing
from jobs.testing import StoreHarness
from jobs.transitions import Lease


def test_a_deaf_handler_is_ended_at_its_hard_limit_though_its_lease_is_lost(
    store: StoreHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, ended = threading.Event(), threading.Event()
    monkeypatch.setattr("jobs.keeper.os._exit", lambda status: ended.set())
    held = store.start()
    lost = Lease(held.job_id, held.fence - 1)
    with LeaseKeeper(store.database, lost, Timing(30, 0.05), (0.5, 1), told.set) as keeper:
        eventually(lambda: not keeper.is_safe)
        with pytest.raises(LeaseLost):
            keeper.check()
        assert not told.is_set()
        assert ended.wait(5)
        assert told.is_set()
