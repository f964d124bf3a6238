"""A mysqld that can be started, with the options that tell it where its own files are."""

import os
import shutil
import subprocess
from dataclasses import dataclass, field

from devtools.mysql.errors import Unavailable

SERVER_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/usr/local/mysql/bin")
"""Where distributions put servers: only root's PATH looks there."""


@dataclass(frozen=True)
class Program:
    """How to call one mysqld: `command`, then --no-defaults, then `options` (mysqld wants that order)."""

    command: list[str]
    origin: str
    options: list[str] = field(default_factory=list)

    def call(self, *options: str) -> list[str]:
        """Return the whole command line with these further options."""
        return [*self.command, "--no-defaults", *self.options, *options]

    def version(self) -> str:
        """Return the line that mysqld --version prints; Unavailable if it does not run here."""
        try:
            shown = subprocess.run(
                [*self.command, "--version"], capture_output=True, text=True, timeout=30, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable(f"{self.origin} does not run: {error}") from error
        if shown.returncode != 0:
            raise Unavailable(f"{self.origin} does not run: {shown.stderr.strip()[-200:]}")
        return shown.stdout.strip()


def installed() -> Program:
    """Return the mysqld on PATH. MariaDB ships a server of that name; it differs where it matters, so it is refused."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *SERVER_FOLDERS])
    found = shutil.which("mysqld", path=path)
    if found is None:
        raise Unavailable("no mysqld on PATH")
    program = Program([found], found)
    if "mariadb" in program.version().lower():
        raise Unavailable(f"{found} is MariaDB, not MySQL")
    return program
