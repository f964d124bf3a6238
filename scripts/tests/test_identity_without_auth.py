"""auth is gone altogether: the api goes on with the keys it knows, and a new one waits for keys or is given them."""

import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest
from devtools.drills.connections import Connection
from devtools.drills.figures import seconds_until
from devtools.drills.product import Product
from devtools.live import expect
from devtools.tour.http import Request, send, wait_for

pytestmark = [
    pytest.mark.drill,
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.parametrize("database_backend", ["mysql"], indirect=True),
]


def statuses(apis: list[Connection], request: Request) -> list[int]:
    return [api.send(request).status for api in apis]


def test_the_api_outlives_auth_and_waits_for_it_at_its_own_start(
    product: Product, tmp_path: Path, figures: Callable[[str], None]
) -> None:
    calls, api_url = product.calls, product.live.stack.api_url
    tokens = product.log_in(product.register())
    apis = product.connect_to_each("api")
    assert statuses(apis, calls.contacts(tokens.access)) == [200, 200]

    bundled = tmp_path / "jwks.json"
    bundled.write_bytes(expect(200, send(calls.jwks())).content)
    product.live.kill("auth")
    # The second one names a key nobody knows, so that the api asks for keys in vain.
    unknown = "eyJhbGciOiJFUzI1NiIsImtpZCI6Im5vYm9keSIsInR5cCI6ImF0K2p3dCJ9." + tokens.access.partition(".")[2]
    for _ in range(20):
        assert statuses(apis, calls.contacts(tokens.access)) == [200, 200]
        assert statuses(apis, calls.contacts(unknown)) == [401, 401]
    expect(200, send(Request("GET", f"{api_url}/readyz")))

    product.live.kill("api")
    product.live.start(product.live.stack.api())
    assert wait_for(f"{api_url}/livez", 60, Event())
    not_ready = expect(503, send(Request("GET", f"{api_url}/readyz")))
    assert "keys" in not_ready.json()["detail"]
    assert int(not_ready.headers["retry-after"]) > 0
    expect(401, send(calls.contacts(tokens.access)))

    product.live.kill("api")
    with_keys = product.live.stack.api()
    with_keys.env["AUTH_JWKS_FILE"] = str(bundled)
    product.live.start(with_keys)
    assert wait_for(f"{api_url}/readyz", 60, Event())
    assert statuses(product.connect_to_each("api"), calls.contacts(tokens.access)) == [200, 200]

    product.live.kill("api")
    product.live.start(product.live.stack.api())
    assert wait_for(f"{api_url}/livez", 60, Event())
    begun = time.monotonic()
    product.live.start(product.live.stack.auth())
    product.live.wait_until_ready()
    ready_after = time.monotonic() - begun
    apis = product.connect_to_each("api")
    seconds_until(lambda: statuses(apis, calls.contacts(tokens.access)) == [200, 200], 10, "the old token is good")
    figures(f"the api that waited for keys was ready {ready_after:.1f} s after auth was started")
