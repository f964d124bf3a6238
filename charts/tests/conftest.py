"""Renders everything once, before the first test, in the process that starts the others."""

import shutil
import tempfile
from pathlib import Path

import pytest
from checking import charts


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        charts.prepare(Path(tempfile.mkdtemp(prefix="charts-check-")))


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(charts.work_folder(), ignore_errors=True)
        counts = {name: len(found) for name, found in config.pluginmanager.get_plugin("terminalreporter").stats.items()}
        # The last line, for programs: pytest's own has no "failed" where nothing did.
        print(f"{counts.get('passed', 0)} passed, {counts.get('failed', 0) + counts.get('error', 0)} failed")  # noqa: T201


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `chart` runs for every chart, one that takes `environment` in every environment."""
    if "chart" in metafunc.fixturenames:
        metafunc.parametrize("chart", charts.CHARTS)
    if "environment" in metafunc.fixturenames:
        metafunc.parametrize("environment", charts.ENVIRONMENTS)
