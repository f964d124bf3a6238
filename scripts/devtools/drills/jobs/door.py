"""The door through which jobs come: a real api, asked over HTTP for exports."""

import time
from collections import Counter
from threading import Lock, local
from uuid import UUID

from devtools.drills.connections import Connection
from devtools.live import Unexpected
from devtools.tour.http import Request, Response

LIMIT_SECONDS = 60.0


class Door:
    """Asks the api for jobs with a user's token, and keeps what was answered and how long it took."""

    def __init__(self, url: str, token: str) -> None:
        self.statuses: Counter[int] = Counter()
        self._url, self._token = url, token
        self._seconds: list[float] = []
        self._lock = Lock()
        self._mine = local()
        self._opened: list[Connection] = []

    def accept(self) -> UUID | None:
        """Ask for a job and return its id; None for any answer but 202. Raises OSError when nobody answers."""
        answer = self.ask()
        return UUID(answer.json()["id"]) if answer.status == 202 else None

    def ask(self, key: str | None = None, file_format: str = "csv") -> Response:
        """Ask for a job, with an idempotency key if there is one. Raises OSError when nobody answers."""
        url, headers = f"{self._url}/api/v1/contacts/exports", {"Idempotency-Key": key} if key else {}
        request = Request("POST", url, body={"format": file_format}, token=self._token, headers=headers)
        begun = time.monotonic()
        answer = self._connection().send(request)
        with self._lock:
            self._seconds.append(time.monotonic() - begun)
            self.statuses[answer.status] += 1
        return answer

    def take_seconds(self) -> list[float]:
        """How long the answers since the last call of this took."""
        with self._lock:
            taken, self._seconds = self._seconds, []
        return taken

    def wait_until_ready(self) -> None:
        """Wait until the api says that it is ready."""
        give_up_at = time.monotonic() + LIMIT_SECONDS
        while not self._is_ready():
            if time.monotonic() > give_up_at:
                raise Unexpected("the api is not ready")
            time.sleep(0.1)

    def close(self) -> None:
        """Let go of the connections of all threads."""
        for connection in self._opened:
            connection.close()

    def _is_ready(self) -> bool:
        try:
            return self._connection().send(Request("GET", f"{self._url}/readyz")).status == 200
        except OSError:
            return False

    def _connection(self) -> Connection:
        if not hasattr(self._mine, "connection"):
            self._mine.connection = Connection(self._url)
            self._opened.append(self._mine.connection)
        connection: Connection = self._mine.connection
        return connection
