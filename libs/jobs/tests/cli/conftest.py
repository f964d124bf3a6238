"""The command line on a store of each database."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from jobs.cli import jobs
from jobs.testing import StoreHarness

Run = Callable[..., Result]


@pytest.fixture
def environment(store: StoreHarness, tmp_path: Path) -> dict[str, str | None]:
    """As an operator has it: the store's URL, its password in a file where it has one."""
    url = store.database.url.set(drivername=store.database.dialect_name)
    if url.password is not None:
        (tmp_path / "password").write_text(str(url.password))
        url = url._replace(password=None).update_query_dict({"password_file": str(tmp_path / "password")})
    stores = f"api={url.render_as_string(hide_password=False)}"
    return {"JOB_STORES": stores, "USER": "ann", "LOGNAME": None, "DB_TLS_CA": None}


@pytest.fixture
def run(environment: dict[str, str | None]) -> Run:
    """Run `flask jobs` with these arguments; the status has to be `status`."""

    def invoke(*arguments: object, status: int = 0, answer: str = "", **env: str | None) -> Result:
        texts = [str(each) for each in arguments]
        result = CliRunner().invoke(jobs, texts, input=answer, env=environment | env)
        assert result.exit_code == status, result.output
        return result

    return invoke
