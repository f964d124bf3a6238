"""What looks after a lease beside the handler: what it still enforces when the lease is gone."""

import threading
import time

import pytest
from common.testing.waiting import eventually
from jobs.errors import LeaseLost
from jobs.keeper import LeaseKeeper, Timing
from jobs.lease import Lease
from jobs.testing import StoreHarness


def test_a_deaf_handler_is_ended_at_its_hard_limit_though_its_lease_is_lost(
    store: StoreHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, ended = threading.Event(), threading.Event()
    monkeypatch.setattr("jobs.keeper.os._exit", lambda status: ended.set())
    held = store.start()
    lost = Lease(held.job_id, held.fence - 1)
    with LeaseKeeper(
        store.database, lost, Timing(30, 0.05), (0.5, 1), told.set, claim_sent_at=time.monotonic()
    ) as keeper:
        eventually(lambda: not keeper.is_safe)
        with pytest.raises(LeaseLost):
            keeper.check()
        assert not told.is_set()
        assert ended.wait(5)
        assert told.is_set()


@pytest.mark.parametrize(("answered_after", "is_safe"), [(24, True), (26, False)])
def test_a_claim_answered_late_leaves_as_much_of_the_lease_less(
    store: StoreHarness, answered_after: float, is_safe: bool
) -> None:
    """The database may have given it at once: another worker can have the job 30 s after the claim was sent."""
    sent_at = time.monotonic() - answered_after
    lease = Lease(store.enqueue(), 1)
    keeper = LeaseKeeper(store.database, lease, Timing(), (1, 2), lambda: None, claim_sent_at=sent_at)
    assert keeper.is_safe == is_safe
