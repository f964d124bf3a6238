"""What `helm test auth` runs inside the cluster, as a client would, with the standard library only.

Always: the service is ready, publishes its keys and its issuer, and refuses who has no token. With JOURNEY=true it also
registers, logs in, asks who it is, refreshes and logs out.
"""

# ruff: noqa: T201 - what it prints is its report, which Helm shows

import json
import os
import secrets
import sys
import time
import urllib.error
import urllib.request
from typing import Any

AUTH = os.environ["AUTH_URL"]
READY_WITHIN_SECONDS = 60
PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "k"}


def call(method: str, url: str, body: object = None, token: str | None = None) -> tuple[int, Any]:
    """Return status and JSON of the answer; an error status is an answer too."""
    headers = {"Content-Type": "application/json"} if body is not None else {}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data=data, headers=headers, method=method)  # noqa: S310 - from the chart
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - as above
            status, text = response.status, response.read()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read()
    return status, json.loads(text) if text else None


def expect(what: str, status: int, answer: tuple[int, Any]) -> Any:
    """Return the body of the answer; end the test where its status is another one."""
    if answer[0] != status:
        sys.exit(f"FAILED {what}: answered {answer[0]}, not {status}: {answer[1]}")
    print(f"ok     {what}: {status}", flush=True)
    return answer[1]


def demand(what: str, holds: bool, found: object) -> None:
    """End the test unless it holds."""
    if not holds:
        sys.exit(f"FAILED {what}: {found}")
    print(f"ok     {what}", flush=True)


def wait_until_ready(url: str) -> None:
    """Ask until the service is ready: network policies take effect a moment after a pod has its address."""
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while True:
        try:
            answer = call("GET", f"{url}/readyz")
        except OSError as error:
            answer = (0, str(error))
        if answer[0] == 200 or time.monotonic() > deadline:
            expect(f"{url} is ready", 200, answer)
            return
        time.sleep(1)


def take_journey() -> None:
    """Make an account, use it, and see its session end."""
    account = {"email": f"helm-test.{secrets.token_hex(6)}@example.com", "password": secrets.token_urlsafe(24)}
    expect("register", 202, call("POST", f"{AUTH}/api/v1/auth/register", account))
    tokens = expect("log in", 200, call("POST", f"{AUTH}/api/v1/auth/login", account))
    me = expect("who am I", 200, call("GET", f"{AUTH}/api/v1/users/me", token=tokens["access_token"]))
    demand("the account is the one registered", me["email"] == account["email"], me)
    refresh = {"refresh_token": tokens["refresh_token"]}
    tokens = expect("refresh", 200, call("POST", f"{AUTH}/api/v1/auth/refresh", refresh))
    refresh = {"refresh_token": tokens["refresh_token"]}
    expect("log out", 204, call("POST", f"{AUTH}/api/v1/auth/logout", refresh))
    expect("refresh after that", 401, call("POST", f"{AUTH}/api/v1/auth/refresh", refresh))


def main() -> None:
    wait_until_ready(AUTH)
    keys = expect("published keys", 200, call("GET", f"{AUTH}/.well-known/jwks.json"))["keys"]
    demand("there is a key", bool(keys), keys)
    published = {member for key in keys for member in key}
    demand("no key shows a private part", not published & PRIVATE_MEMBERS, published)
    metadata = expect("metadata", 200, call("GET", f"{AUTH}/.well-known/oauth-authorization-server"))
    demand("the issuer is the chart's", metadata["issuer"] == os.environ["AUTH_ISSUER"], metadata["issuer"])
    expect("without a token", 401, call("GET", f"{AUTH}/api/v1/users/me"))
    if os.environ["JOURNEY"] == "true":
        take_journey()


if __name__ == "__main__":
    main()
