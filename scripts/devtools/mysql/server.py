"""Start and stop a mysqld of our own: data in a given folder, listening on 127.0.0.1 only."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from devtools.mysql.errors import Unavailable
from devtools.mysql.handshake import wait_until_answering
from devtools.mysql.programs import Program

ACCOUNT = """\
CREATE DATABASE IF NOT EXISTS test;
CREATE USER IF NOT EXISTS test@'%' IDENTIFIED BY 'test';
GRANT ALL ON *.* TO test@'%' WITH GRANT OPTION;
"""

# Quick instead of safe against power cuts: no binary log, no doublewrite, the log is flushed once a second. A killed
# server process loses nothing all the same, and nothing here changes what a statement or a transaction means.
TUNING = (
    "--skip-log-bin",
    "--innodb-doublewrite=OFF",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-buffer-pool-size=256M",
    "--innodb-redo-log-capacity=256M",
    "--max-connections=500",
    "--mysqlx=OFF",
    "--secure-file-priv=NULL",
)


def url(port: int, database: str = "test") -> str:
    """Return the address of a fully privileged account, as SQLAlchemy writes it."""
    return f"mysql+pymysql://test:test@127.0.0.1:{port}/{database}?charset=utf8mb4"


class OwnServer:
    """A mysqld whose files all lie in `home`: data/, mysqld.pid, mysqld.log."""

    def __init__(self, home: Path, port: int) -> None:
        self.home, self.port = home, port
        self._pid_file = home / "mysqld.pid"
        self._log = home / "mysqld.log"
        # Both unknown where somebody else has started it.
        self._program: Program | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, program: Program, timeout_seconds: float = 60) -> None:
        """Start on the data in `home`, made first if there is none; Unavailable with the log's end if it fails."""
        self._program = program
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not (self.home / "data").is_dir():
            self._initialize(program)
        accounts = self.home / "accounts.sql"
        accounts.write_text(ACCOUNT)
        command = program.call(
            *self._common(),
            f"--datadir={self.home / 'data'}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            f"--socket={self._socket()}",
            f"--pid-file={self._pid_file}",
            f"--init-file={accounts}",
        )
        with self._log.open("ab") as log:
            process = self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        try:
            if not wait_until_answering(self.port, timeout_seconds, lambda: process.poll() is None):
                raise Unavailable(f"{program.origin} does not start: {self._log_end()} (log: {self._log})")
        except BaseException:  # Ctrl-C included: nobody else knows of this process yet
            process.kill()
            process.wait()
            raise

    def pid(self) -> int | None:
        """Return the process id of the running server, None when there is none (a stale pid file does not count)."""
        try:
            pid = int(self._pid_file.read_text())
        except (OSError, ValueError):
            return None
        return pid if f"--datadir={self.home / 'data'}" in _command_line(pid) else None

    def stop(self, timeout_seconds: float = 30) -> None:
        """Shut the server down and keep its data; kill it when the time is over."""
        self._end(signal.SIGTERM, timeout_seconds) or self._end(signal.SIGKILL, timeout_seconds)

    def kill(self) -> None:
        """End the server at once, as a lost node would; its data stay."""
        self._end(signal.SIGKILL, 10)

    def restart(self) -> None:
        """Start again what was started before and has ended, with its data."""
        if self._program is None:
            raise Unavailable("it was not started here")
        self.start(self._program)

    def freeze(self) -> None:
        """Let the server accept connections and answer nothing, until it is thawed or killed."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the server answer again."""
        self._signal(signal.SIGCONT)

    def discard(self) -> None:
        """Kill the server and delete its data."""
        self.kill()
        shutil.rmtree(self.home, ignore_errors=True)

    def _end(self, signal_number: signal.Signals, timeout_seconds: float) -> bool:
        end = time.monotonic() + timeout_seconds
        self._signal(signal_number)
        while self.pid() is not None and time.monotonic() < end:
            time.sleep(0.05)
        if self.pid() is not None:
            return False
        if self._process is not None:
            self._process.wait()
        return True

    def _signal(self, signal_number: signal.Signals) -> None:
        pid = self.pid()
        if pid is not None:
            os.kill(pid, signal_number)

    def _initialize(self, program: Program) -> None:
        unfinished = self.home / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        with self._log.open("wb") as log:
            command = program.call("--initialize-insecure", *self._common(), f"--datadir={unfinished}")
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False)
        if done.returncode != 0:
            raise Unavailable(f"{program.origin} cannot make its data: {self._log_end()} (log: {self._log})")
        unfinished.rename(self.home / "data")

    def _common(self) -> tuple[str, ...]:
        # mysqld refuses to be root unless told so by name.
        return (*TUNING, f"--user={pwd.getpwuid(os.geteuid()).pw_name}")

    def _socket(self) -> Path:
        # Not in `home`: a socket's path may have 107 characters at most.
        return Path(tempfile.gettempdir()) / f"redprint-mysql-{self.port}.sock"

    def _log_end(self) -> str:
        lines = [line for line in self._log.read_text(errors="replace").splitlines() if "[ERROR]" in line]
        return lines[-1] if lines else "no error in its log"


def _command_line(pid: int) -> str:
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
        except OSError:
            return ""
    shown = subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout
