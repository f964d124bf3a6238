"""Fetch MySQL's server from Debian's unstable release into a folder of its own; nothing on the machine is installed.

Debian's stable releases ship no MySQL. apt resolves and verifies the packages against a private, empty state, so it
brings their libraries too, down to libc; mysqld then runs through the loader that came with them. No root needed.
"""

import fcntl
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devtools import say
from devtools.mysql.errors import Unavailable
from devtools.mysql.programs import Program

PACKAGE = "mysql-server-core"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

APT_SETTINGS = """\
Dir::State "{folder}/state";
Dir::State::status "{folder}/state/status";
Dir::Cache "{folder}/cache";
Dir::Etc "{folder}/etc";
Acquire::Languages "none";
Acquire::Retries "2";
APT::Install-Recommends "false";
// A folder below a private one cannot be read by apt's sandbox user.
APT::Sandbox::User "root";
// A mirror that lags for some days is good enough for a test server; signatures are still checked.
Acquire::Check-Valid-Until "false";
"""


def fetched(folder: Path) -> Program:
    """Return the mysqld unpacked in `folder`, fetching it on the first call (about 60 MB, some 15 s)."""
    root = folder / "root"
    if not root.is_dir():
        _require_debian()
        with _only_one(folder):
            if not root.is_dir():
                say.note("Fetching MySQL's server from Debian's packages (once, about 60 MB) ...")
                _fetch(folder, root)
    return _program(root)


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Test runs may begin at the same time: one fetches, the others wait for it."""
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        yield


def _require_debian() -> None:
    release = platform.freedesktop_os_release() if Path("/etc/os-release").exists() else {}
    if release.get("ID") != "debian" or shutil.which("apt-get") is None:
        raise Unavailable("this is not Debian, so its packages cannot be used")
    if not KEYRING.is_file():
        raise Unavailable(f"{KEYRING} is missing (package debian-archive-keyring)")


def _mirror() -> str:
    """Return the address this machine gets its own release from; the unstable release lies beside it."""
    codename = platform.freedesktop_os_release().get("VERSION_CODENAME", "stable")
    listing = _run(["apt-get", "--print-uris", "update"], "apt-get cannot list its sources").stdout
    found = re.search(rf"'(\S+)/dists/{re.escape(codename)}/(?:In)?Release'", listing)
    if found is None:
        raise Unavailable(f"apt's sources name no mirror of Debian {codename}")
    return found[1]


def _fetch(folder: Path, root: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for part in ("state/lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/preferences.d"):
        (folder / part).mkdir(parents=True)
    (folder / "state/status").touch()
    (folder / "etc/sources.list").write_text(f"deb [signed-by={KEYRING}] {_mirror()} sid main\n")
    settings = folder / "apt.conf"
    settings.write_text(APT_SETTINGS.format(folder=folder))
    apt = ["env", f"APT_CONFIG={settings}", "apt-get", "-q"]
    _run([*apt, "update"], "Debian's package list cannot be fetched")
    _run([*apt, "install", "--yes", "--download-only", PACKAGE], f"{PACKAGE} cannot be fetched")
    unpacked = folder / "unpacked"
    for archive in sorted((folder / "cache/archives").glob("*.deb")):
        _run(["dpkg-deb", "--extract", str(archive), str(unpacked)], f"{archive.name} cannot be unpacked")
    shutil.rmtree(folder / "cache")
    shutil.rmtree(folder / "state")
    unpacked.rename(root)  # last, so that an interrupted fetch is done again


def _run(command: list[str], problem: str) -> subprocess.CompletedProcess[str]:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{problem}: {error}") from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.startswith("E:")] or done.stderr.splitlines()
        raise Unavailable(f"{problem}: {' '.join(lines)[:300]}")
    return done


def _program(root: Path) -> Program:
    loader = _only(root.glob("usr/lib*/ld-linux*.so.*"), "loader")
    libraries = _only(root.glob("usr/lib/*-linux-gnu*"), "library folder")
    mysqld = root / "usr/sbin/mysqld"
    options = [
        f"--basedir={root}/usr",
        f"--lc-messages-dir={root}/usr/share/mysql",
        f"--character-sets-dir={root}/usr/share/mysql/charsets",
        f"--plugin-dir={root}/usr/lib/mysql/plugin",
    ]
    return Program([str(loader), "--library-path", str(libraries), str(mysqld)], "Debian's package", options)


def _only(found: Iterator[Path], what: str) -> Path:
    path = next(found, None)
    if path is None:
        raise Unavailable(f"Debian's packages hold no {what}")
    return path
