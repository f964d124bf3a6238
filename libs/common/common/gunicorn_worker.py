"""gunicorn's threaded worker, changed where one odd client, or a stop, would be felt by all the others."""

import time
from typing import Any

import orjson
import structlog
from gunicorn import util  # type: ignore[import-untyped] # ships no types
from gunicorn.workers import gthread  # type: ignore[import-untyped] # ships no types
from structlog.contextvars import bind_contextvars, clear_contextvars

from common.ids import new_id
from common.problems import CONTENT_TYPE, http_problem, problem_members
from common.web.middleware import SECURITY_HEADERS
from common.web.reloading import failed_app, files_of

# A thread waits no longer for the first bytes of a connection. gunicorn's 5 s would let four connections opened in
# advance, as browsers and balancers do, occupy all threads.
FIRST_BYTES_SECONDS = 0.05


class ServiceWorker(gthread.ThreadWorker):  # type: ignore[misc] # its base is untyped
    """Spends no thread on silent connections, explains malformed requests as problems, and stops without hanging up."""

    def load_wsgi(self) -> None:
        """Load the application. While it is reloaded its errors are shown, and waited on until a file changes.

        gunicorn does that for errors of syntax only; by all others it would end, and a container with it.
        """
        if not self.cfg.reload:
            super().load_wsgi()
            return
        try:
            self.wsgi = self.app.wsgi()
        except (Exception, SystemExit) as error:
            self.log.exception("The application could not be loaded; change a file to try again.")
            for file in files_of(error):
                self.reloader.add_extra_file(file)
            self.wsgi = failed_app(error)

    def handle(self, conn: Any) -> Any:
        """Serve a connection; one on which nothing comes is left to the poller, which costs no thread."""
        if self.alive and not conn.initialized and not conn.wait_for_data(FIRST_BYTES_SECONDS):
            return gthread._DEFER  # noqa: SLF001 - what gunicorn's own handle returns, only sooner
        return super().handle(conn)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Log and answer what never became a request; the line in the log has the trace id of the answer."""
        clear_contextvars()
        bind_contextvars(trace_id=new_id().hex)
        super().handle_error(req, client, addr, exc)

    def set_accept_enabled(self, enabled: bool) -> None:
        """Begin or end to accept. At the end of the worker those who wait already are served, all later ones refused.

        gunicorn would keep the port open and hang up on whoever had come there when the process ends.
        """
        super().set_accept_enabled(enabled)
        if enabled or self.alive:
            return
        # gunicorn bounds the wait for idle connections so, and forgets those on which nothing ever came.
        deadline = time.monotonic() + gthread.STOP_KEEPALIVE_LINGER
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)
        for listener in self.sockets:
            accepted = -1
            while self.nr_conns != accepted:  # accept() says nothing; it counts
                accepted = self.nr_conns
                self.accept(listener)
            listener.close()


def write_problem(sock: Any, status: int, reason: str, message: str) -> None:
    """Send the problem of a request that has no application to answer it."""
    problem = http_problem(status)
    trace_id = structlog.contextvars.get_contextvars().get("trace_id", new_id().hex)
    body = orjson.dumps(problem_members(problem, message or problem.title, "", trace_id))
    headers = [
        ("Connection", "close"),
        ("Content-Type", CONTENT_TYPE),
        ("Content-Length", str(len(body))),
        *SECURITY_HEADERS,
    ]
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers)]
    util.write_nonblock(sock, "\r\n".join([*lines, "", ""]).encode("latin-1") + body)


util.write_error = write_problem  # gunicorn's own writes HTML, and has no setting for it
