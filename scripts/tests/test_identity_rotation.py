"""Signing keys are replaced under load, and nobody who holds a good token notices."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from auth_service.keys.manifest import FILE_NAME
from auth_service.keys.schedule import RETIRING_PERIOD
from devtools.drills.connections import Connection
from devtools.drills.crowd import Crowd
from devtools.drills.figures import metric, seconds_until, spread
from devtools.drills.product import Product
from devtools.tour.http import Request

pytestmark = [
    pytest.mark.drill,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.parametrize("database_backend", ["mysql"], indirect=True),
]

PEOPLE = 10
RATE = 200.0  # a second, of all people together
# auth looks at the directory every 15 s, and what it finds is pushed: verifiers ask within about a second.
LEAD_SECONDS = 20
LOOK_SECONDS = 40  # generous: a look of every process, on a machine with other things to do


@pytest.fixture
def crowd(product: Product):
    crowd = Crowd(product.calls, PEOPLE, RATE)
    crowd.start()
    yield crowd
    crowd.stop()


def published_kids(auth: Connection, product: Product) -> set[str]:
    return {key["kid"] for key in auth.send(product.calls.jwks()).json()["keys"]}


def wait_until_published(product: Product, auths: list[Connection], kids: set[str]) -> float:
    return seconds_until(
        lambda: all(published_kids(auth, product) == kids for auth in auths), LOOK_SECONDS, f"published: {kids}"
    )


def wait_for_reload_failed(product: Product, value: int) -> float:
    return seconds_until(
        lambda: metric(product.auth_metrics, "signing_keys_reload_failed") == value,
        LOOK_SECONDS,
        f"signing_keys_reload_failed {value}",
    )


def statuses(connections: list[Connection], request: Request) -> list[int]:
    return [connection.send(request).status for connection in connections]


def test_keys_change_under_load_and_a_corrupt_secret_changes_nothing(
    product: Product, crowd: Crowd, figures: Callable[[str], None]
) -> None:
    begun = datetime.now(UTC)
    auths, apis = product.connect_to_each("auth"), product.connect_to_each("api")
    old = product.log_in(product.register())
    [first] = [key for key in product.keys.listed() if key["state"] == "active" and key["alg"] == "ES256"]
    assert old.kid == first["kid"]

    product.keys.flask("rotate", "--lead", f"{LEAD_SECONDS}s", "--force")
    product.keys.apply()
    _, second, reserve = (key for key in product.keys.listed() if key["alg"] == "ES256")
    all_kids = {first["kid"], second["kid"], reserve["kid"]}
    to_publish = wait_until_published(product, auths, all_kids)

    # The change comes while the directory is at fault: it was planned before, and has to happen all the same.
    product.keys.apply({second["file"]: b"-----BEGIN " + b"PRIVATE KEY-----\nMIGH\n"})
    to_notice_key = wait_for_reload_failed(product, 1)
    seconds_until(lambda: crowd.tally.kids[second["kid"]] >= PEOPLE, LEAD_SECONDS + 20, "the new key signs")
    assert crowd.tally.wrong == {}
    assert all(published_kids(auth, product) == all_kids for auth in auths)

    product.keys.apply()
    to_mend = wait_for_reload_failed(product, 0)
    product.keys.apply({FILE_NAME: b'{"keys": [{"file": "signing.pem"'})
    to_notice_plan = wait_for_reload_failed(product, 1)
    young = product.log_in(product.register())
    assert young.kid == second["kid"]
    assert statuses(auths, product.calls.me(old.access)) == [200, 200]
    assert statuses(apis, product.calls.contacts(old.access)) == [200, 200]

    # What 66 minutes of waiting would be.
    product.keys.sign_from(second["file"], datetime.now(UTC) - RETIRING_PERIOD - timedelta(minutes=1))
    product.keys.apply()
    to_retire = wait_until_published(product, auths, all_kids - {first["kid"]})
    assert wait_for_reload_failed(product, 0) < LOOK_SECONDS
    assert statuses(auths, product.calls.me(old.access)) == [401, 401]
    to_refuse = seconds_until(
        lambda: statuses(apis, product.calls.contacts(old.access)) == [401, 401], 30, "the api refuses the old key"
    )
    assert statuses(auths, product.calls.me(young.access)) == [200, 200]
    assert statuses(apis, product.calls.contacts(young.access)) == [200, 200]

    crowd.stop()
    seconds = (datetime.now(UTC) - begun).total_seconds()
    tally = crowd.tally
    assert tally.wrong == {}
    assert tally.kids.keys() == {first["kid"], second["kid"]}
    assert len(tally.seconds) > RATE / 4 * seconds, "too few calls to say anything"
    figures(
        f"{len(tally.seconds)} calls, {len(tally.seconds) / seconds:.0f}/s for {seconds:.0f} s, {spread(tally.seconds)}"
        f", wrong answers {tally.wrong}, calls {tally.by_call}, tokens by key {sorted(tally.kids.values())}"
    )
    figures(
        f"seconds until published {to_publish:.1f}, corrupt key noticed {to_notice_key:.1f}, mended {to_mend:.1f}, "
        f"corrupt manifest noticed {to_notice_plan:.1f}, retired {to_retire:.1f}, and the api refuses the old key "
        f"{to_refuse:.2f} after auth"
    )
