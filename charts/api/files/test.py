"""What `helm test api` runs inside the cluster, as a client would, with the standard library only.

Always: the service is ready, auth's keys can be had, and who has no token is refused. With JOURNEY=true it also
registers, logs in, imports a small file, waits until a worker has done it, and lists what came in; releases auth and
worker have to be there.
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

API, AUTH = os.environ["API_URL"], os.environ["AUTH_URL"]
READY_WITHIN_SECONDS = 60
JOB_WITHIN_SECONDS = 90
FINAL_STATES = {"succeeded", "failed", "dead", "cancelled"}
CSV = (
    "external_id,name,email\n1,Ada Lovelace,ada@example.com\n2,Grace Hopper,grace@example.com\n3,,nobody@example.com\n"
)


def call(
    method: str, url: str, data: bytes | None = None, token: str | None = None, media: str = "application/json"
) -> tuple[int, Any]:
    """Return status and JSON of the answer; an error status is an answer too."""
    headers = {"Content-Type": media} if data is not None else {}
    if token:
        headers["Authorization"] = f"Bearer {token}"
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


def log_in() -> str:
    """Return the access token of an account made for this test."""
    account = {"email": f"helm-test.{secrets.token_hex(6)}@example.com", "password": secrets.token_urlsafe(24)}
    body = json.dumps(account).encode()
    expect("register", 202, call("POST", f"{AUTH}/api/v1/auth/register", body))
    return str(expect("log in", 200, call("POST", f"{AUTH}/api/v1/auth/login", body))["access_token"])


def import_file(token: str) -> str:
    """Upload the file; return the id of the job."""
    boundary = secrets.token_hex(16)
    disposition = 'Content-Disposition: form-data; name="file"; filename="people.csv"'
    part = f"--{boundary}\r\n{disposition}\r\n\r\n{CSV}\r\n--{boundary}--\r\n"
    media = f"multipart/form-data; boundary={boundary}"
    url = f"{API}/api/v1/contacts/imports"
    return str(expect("import a file", 202, call("POST", url, part.encode(), token, media))["id"])


def wait_for_job(job_id: str, token: str) -> dict[str, Any]:
    """Return the job once it has ended."""
    deadline = time.monotonic() + JOB_WITHIN_SECONDS
    while True:
        status, job = call("GET", f"{API}/api/v1/jobs/{job_id}", token=token)
        if status != 200 or job["state"] in FINAL_STATES:
            ended: dict[str, Any] = expect("the job has ended", 200, (status, job))
            return ended
        if time.monotonic() > deadline:
            sys.exit(f"FAILED the job is {job['state']} after {JOB_WITHIN_SECONDS} s; is release worker there?")
        time.sleep(0.5)


def take_journey() -> None:
    """From no account to imported contacts."""
    token = log_in()
    job = wait_for_job(import_file(token), token)
    demand("it succeeded", job["state"] == "succeeded", job)
    result = job["result"]
    demand("two rows came in, the nameless one did not", (result["created"], result["rejected"]) == (2, 1), result)
    listed = expect("list", 200, call("GET", f"{API}/api/v1/contacts?limit=10", token=token))["items"]
    names = [item["name"] for item in listed]
    demand("the list shows them", sorted(names) == ["Ada Lovelace", "Grace Hopper"], names)


def main() -> None:
    wait_until_ready(API)
    keys = expect("auth's keys", 200, call("GET", f"{AUTH}/.well-known/jwks.json"))["keys"]
    demand("there is a key", bool(keys), keys)
    expect("without a token", 401, call("GET", f"{API}/api/v1/contacts"))
    unsigned = "not.a.token"
    expect("with a token nobody signed", 401, call("GET", f"{API}/api/v1/contacts", token=unsigned))
    if os.environ["JOURNEY"] == "true":
        take_journey()


if __name__ == "__main__":
    main()
