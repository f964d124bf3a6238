"""A MySQL server in a container, where a Docker engine really answers (a client alone does not count)."""

import os
import shutil
import subprocess
from pathlib import Path

from devtools import say
from devtools.mysql.errors import Unavailable
from devtools.mysql.handshake import wait_until_answering
from devtools.mysql.server import ACCOUNT, TUNING

IMAGE = "mysql:9.7"


class ContainerServer:
    """A container of the official image; its data lies in `home`/data when they are to be kept."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.name = f"redprint-mysql-{port}"

    def start(self, keep_in: Path | None = None) -> None:
        """Start it and make the test account; Unavailable says what the engine said."""
        require_engine()
        image = os.environ.get("MYSQL_IMAGE", IMAGE)
        say.note(f"Starting MySQL in a container of {image} ...")
        self.discard()
        _docker("run", "--detach", "--rm", "--name", self.name, *self._options(keep_in), image, *TUNING)
        if not wait_until_answering(self.port, 180, self.is_running):
            raise Unavailable(f"the container {self.name} started but no MySQL answers on port {self.port}")
        _docker("exec", "--interactive", self.name, "mysql", "-uroot", input_text=ACCOUNT)

    def _options(self, keep_in: Path | None) -> list[str]:
        options = ["--publish", f"127.0.0.1:{self.port}:3306", "--env", "MYSQL_ALLOW_EMPTY_PASSWORD=1"]
        if keep_in is not None:
            (keep_in / "data").mkdir(parents=True, exist_ok=True)
            options += ["--volume", f"{keep_in / 'data'}:/var/lib/mysql", "--user", f"{os.getuid()}:{os.getgid()}"]
        return options

    def is_running(self) -> bool:
        """Tell whether the container is up."""
        try:
            require_engine()
        except Unavailable:
            return False
        listed = _docker("ps", "--quiet", "--filter", f"name=^{self.name}$", check=False)
        return bool(listed.stdout.strip())

    def stop(self) -> None:
        """Shut the server down; the container is removed with it, kept data stay."""
        _docker("stop", "--time", "30", self.name, check=False)

    def discard(self) -> None:
        """Kill and remove the container if there is one."""
        _docker("rm", "--force", "--volumes", self.name, check=False)


def require_engine() -> None:
    """Raise Unavailable unless a Docker engine answers."""
    if shutil.which("docker") is None:
        raise Unavailable("no docker on PATH")
    try:
        shown = _docker("version", "--format", "{{.Server.Version}}", check=False, timeout_seconds=10)
    except subprocess.TimeoutExpired:
        raise Unavailable("the Docker engine does not answer within 10 s") from None
    if shown.returncode != 0 or not shown.stdout.strip():
        raise Unavailable("there is a docker client, but no Docker engine answers it")


def _docker(
    *arguments: str, check: bool = True, input_text: str | None = None, timeout_seconds: float = 600
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        ["docker", *arguments],
        input=input_text,
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        check=False,
    )
    if check and done.returncode != 0:
        raise Unavailable(f"docker {arguments[0]} fails: {done.stderr.strip()[-300:]}")
    return done
