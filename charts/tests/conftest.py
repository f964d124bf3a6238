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


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `chart` runs for every chart, one that takes `environment` in every environment."""
    if "chart" in metafunc.fixturenames:
        metafunc.parametrize("chart", charts.CHARTS)
    if "environment" in metafunc.fixturenames:
        metafunc.parametrize("environment", charts.ENVIRONMENTS)
