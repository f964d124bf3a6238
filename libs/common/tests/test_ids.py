import subprocess
import sys
from datetime import UTC, datetime
from uuid import UUID

import pytest
from common.clock import utc_now
from common.ids import new_id, parse_id


def test_ids_are_uuids_of_version_7() -> None:
    made = new_id()
    assert type(made) is UUID
    assert made.version == 7
    assert made.variant == "specified in RFC 4122"


def test_ids_sort_in_the_order_of_their_making() -> None:
    made = [new_id() for _ in range(2000)]
    assert made == sorted(made)
    assert len(set(made)) == 2000


def test_an_id_holds_the_moment_of_its_making() -> None:
    made = datetime.fromtimestamp((new_id().int >> 80) / 1000, UTC)
    assert abs((utc_now() - made).total_seconds()) < 5


def test_the_text_of_an_id_is_read_back() -> None:
    made = new_id()
    assert parse_id(str(made)) == made
    assert parse_id(str(made).upper()) == made


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "{019284ab-0000-7000-8000-000000000001}",
        "urn:uuid:019284ab-0000-7000-8000-000000000001",
        "019284ab000070008000000000000001",
        "019284ab-0000-7000-8000-00000000000g",
        "019284ab-0000-7000-8000-000000000001\n",
        "\u066019284ab-0000-7000-8000-000000000001",
    ],
)
def test_another_spelling_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="8-4-4-4-12"):
        parse_id(text)


def test_the_present_is_aware_utc() -> None:
    now = utc_now()
    assert now.tzinfo is UTC
    assert abs(now.timestamp() - datetime.now(UTC).timestamp()) < 5


FORKING = """
import os
from common.ids import new_id
ids = [new_id() for _ in range(10)]
for _ in range(3):
    read, write = os.pipe()
    if os.fork() == 0:
        os.write(write, b"".join(new_id().bytes for _ in range(1000)))
        os._exit(0)
    os.close(write)
    made = open(read, "rb").read()
    ids += [made[at:at + 16] for at in range(0, len(made), 16)]
    os.wait()
assert len(ids) == 3010
tails = {bytes(getattr(id, "bytes", id))[8:] for id in ids}
assert len(tails) == len(ids), len(tails)
"""


def test_forked_processes_share_no_randomness() -> None:
    done = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
