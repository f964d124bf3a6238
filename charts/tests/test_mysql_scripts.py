"""The scripts of the MySQL chart, run as they are but for their paths, with stand-ins of the server's programs.

What a real server does with them is seen on a cluster; here is what is hard to bring about there.
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from checking.charts import SOURCES

SCRIPTS = SOURCES / "mysql" / "files"
MOVED = {"/etc/redprint": "etc", "/run/redprint": "run", "/run/mysqld": "socket", "/var/lib/mysql": "volume"}

# Makes a data directory as told; ends in the middle of it where DIE is set.
MYSQLD = """\
#!/bin/sh
about="for Linux on x86_64 (MySQL Community Server - GPL)"
case $* in *--version*) echo "/usr/sbin/mysqld  Ver $VERSION $about"; exit ;; esac
for each; do case $each in --datadir=*) data=${each#*=} ;; esac; done
[ ! -e "$data" ] || { echo "$data is there already"; exit 1; }
mkdir "$data"
[ -z "${DIE:-}" ] || kill -KILL $$
touch "$data/whole"
"""

# Lets in who has the password in the file `server`, which `ALTER USER root` changes; keeps what it was told in `told`.
MYSQL = """\
#!/bin/bash
here=$(dirname "$0")/..
for each; do case $each in --defaults-file=*) file=${each#*=} ;; --execute=*) told=${each#*=} ;; esac; done
given=$(sed -n 's/^password="\\(.*\\)"$/\\1/p' "$file")
[ "$given" = "$(<"$here/server")" ] || { echo "ERROR 1045 (28000): Access denied for user root" >&2; exit 1; }
[ -n "${told:-}" ] || told=$(cat)
echo "$told" >>"$here/told"
case $told in
    *"RELOAD TLS"*) [ ! -e "$here/tls-refused" ] || { echo "ERROR 3888 (HY000): Failed to set up SSL" >&2; exit 1; } ;;
    *"FLUSH LOCAL SLOW LOGS"*) printf 'title\\ntitle\\ntitle\\n' >"$here/socket/slow.log" ;;
esac
sed -n "s/^ALTER USER root IDENTIFIED BY '\\(.*\\)';/\\1/p" <<<"$told" >"$here/changed"
[ ! -s "$here/changed" ] || mv "$here/changed" "$here/server"
"""


@pytest.fixture
def pod(tmp_path: Path) -> Path:
    """A folder with what the pod's containers see."""
    for name in ("bin", "etc/mysql", "etc/users", "etc/tls", "run", "socket", "volume"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("mysqld", "mysql"):
        program = tmp_path / "bin" / name
        program.write_text({"mysqld": MYSQLD, "mysql": MYSQL}[name])
        program.chmod(0o755)
    for script in SCRIPTS.glob("*.sh"):
        text = script.read_text()
        for path, moved in MOVED.items():
            text = text.replace(path, str(tmp_path / moved))
        (tmp_path / "etc/mysql" / script.name).write_text(text.replace("INTERVAL_SECONDS=5", "INTERVAL_SECONDS=0.1"))
    for user in ("root", "probe"):
        set_password(tmp_path, user, f"{user}1")
    (tmp_path / "etc/users/users.sql").write_text("ALTER USER root IDENTIFIED BY {password of root};\n")
    (tmp_path / "etc/users/revoke.sql").write_text("")
    return tmp_path


def set_password(pod: Path, user: str, password: str) -> None:
    folder = pod / "etc/secrets" / user
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "new").write_text(password)
    (folder / "new").rename(folder / "password")


def environment(pod: Path, **more: str) -> dict[str, str]:
    return {"PATH": f"{pod / 'bin'}:{os.environ['PATH']}", "LC_ALL": "C", **more}


def initialize(pod: Path, version: str = "9.7.2", line: str = "9.7", **more: str) -> subprocess.CompletedProcess[str]:
    env = environment(pod, VERSION=version, MAJOR_LINE=line, **more)
    return subprocess.run(
        ["bash", pod / "etc/mysql/initialize.sh"], env=env, capture_output=True, text=True, check=False
    )


def test_a_data_directory_is_made_once_and_whole_however_often_that_is_interrupted(pod: Path) -> None:
    assert initialize(pod, DIE="1").returncode != 0
    assert not (pod / "volume/data").exists()
    assert initialize(pod).returncode == 0
    assert (pod / "volume/data/whole").exists()
    (pod / "volume/data/row").touch()
    assert initialize(pod).returncode == 0
    assert (pod / "volume/data/row").exists()


def test_a_start_writes_nothing_to_the_volume_that_is_there_already(pod: Path) -> None:
    # A full one has no room, and the server has to come back all the same.
    assert initialize(pod).returncode == 0
    before = (pod / "volume/line").stat()
    assert initialize(pod).returncode == 0
    assert (pod / "volume/line").stat().st_ino == before.st_ino
    (pod / "volume/line").unlink()  # killed between the data and the line
    assert initialize(pod).returncode == 0
    assert (pod / "volume/line").read_text() == "9.7\n"


def test_no_server_of_another_line_comes_near_the_data_unless_that_is_said(pod: Path) -> None:
    assert initialize(pod, "8.4.6", "8.4").returncode == 0
    assert "the image holds MySQL 9.7.2" in initialize(pod, "9.7.2", "8.4").stderr
    assert "take a backup" in initialize(pod).stderr
    assert initialize(pod, UPGRADE_FROM_LINE="8.4").returncode == 0
    assert "which 8.4 cannot read" in initialize(pod, "8.4.6", "8.4", UPGRADE_FROM_LINE="9.7").stderr


@pytest.mark.parametrize(
    ("password", "sql", "option"),
    [
        ("a\\b", r"'a\\b'", r'"a\\b"'),
        ("it's", r"'it\'s'", r'"it\'s"'),
        # To the client a # after one quote would begin a comment.
        ('a"b#c', "'a\"b#c'", r'"a\"b#c"'),
        ("a&b $(c) `d` %s", "'a&b $(c) `d` %s'", '"a&b $(c) `d` %s"'),
    ],
)
def test_a_password_means_itself_in_sql_and_in_an_option_file(password: str, sql: str, option: str) -> None:
    script = 'source "$0/quote.sh"; sql_text "$1"; echo; option_file root "$1"'
    done = subprocess.run(["bash", "-c", script, SCRIPTS, password], capture_output=True, text=True, check=True)
    assert done.stdout == f"{sql}\n[client]\nuser=root\npassword={option}\n"


class Grants:
    """The container `grants`, running."""

    def __init__(self, pod: Path, memory_kib: int | str = "unlimited") -> None:
        script = f'ulimit -v {memory_kib}; exec bash "$0"'
        self.output = pod / "output"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                ["bash", "-c", script, pod / "etc/mysql/grants.sh"],
                env=environment(pod),
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def text(self) -> str:
        return self.output.read_text()

    def wait_for(self, text: str, times: int = 1) -> None:
        deadline = time.monotonic() + 20
        while self.text().count(text) < times:
            assert time.monotonic() < deadline, f"no {text!r} in:\n{self.text()[:2000]}"
            assert self.process.poll() is None, f"ended:\n{self.text()[:2000]}"
            time.sleep(0.05)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


@pytest.fixture
def started(pod: Path) -> Path:
    """The pod after its init container, with a server that knows the password of root's Secret."""
    assert initialize(pod).returncode == 0
    (pod / "server").write_text("root1")
    return pod


def test_a_new_password_of_root_reaches_the_server_and_its_next_start(started: Path) -> None:
    grants = Grants(started)
    grants.wait_for("applied")
    set_password(started, "root", "root2")
    grants.wait_for("applied", 2)
    assert (started / "server").read_text() == "root2\n"
    assert "'root2'" in (started / "run/init.sql").read_text()
    grants.stop()


def test_an_emptied_secret_of_root_changes_nothing_and_is_named(started: Path) -> None:
    grants = Grants(started)
    grants.wait_for("applied")
    set_password(started, "root", "")
    grants.wait_for("the Secret of root holds no password")
    assert "'root1'" in (started / "run/init.sql").read_text()
    set_password(started, "root", "root2")
    grants.wait_for(": applied", 2)
    assert (started / "server").read_text() == "root2\n"
    grants.stop()


def test_a_slow_query_log_larger_than_the_memory_is_printed(started: Path) -> None:
    log = started / "socket/slow.log"
    with log.open("w") as file:
        file.write("title\ntitle\ntitle\n# Time: now\n")
        file.writelines(f"{'x' * 999}\n" for _ in range(40_000))
    grants = Grants(started, memory_kib=64 * 1024)
    grants.wait_for("x\n", 40_000)
    assert "title" not in grants.text()
    grants.wait_for("applied")
    assert len(log.read_text()) < 100
    grants.stop()


def reloads(started: Path) -> int:
    return (started / "told").read_text().count("RELOAD TLS")


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_certificate_the_server_refuses_is_said_once_and_tried_again(started: Path) -> None:
    certificate = started / "etc/tls/tls.crt"
    certificate.write_text("first")
    grants = Grants(started)
    grants.wait_for("applied")
    wait_until(lambda: reloads(started) == 1)  # of the first one, which is not to be refused
    (started / "tls-refused").touch()
    # As the kubelet swaps it: a file caught empty would be a third certificate.
    (started / "second").write_text("second")
    (started / "second").replace(certificate)
    grants.wait_for("is not taken up")
    asked = reloads(started)
    time.sleep(1)
    assert len(re.findall("is not taken up.*ERROR 3888", grants.text())) == 1
    (started / "tls-refused").unlink()
    wait_until(lambda: reloads(started) > asked)
    grants.stop()
