"""What tests have measured, shown at the end of the run; loaded with the fixtures of `common.testing.plugin`."""

from collections.abc import Callable

import pytest
from _pytest.terminal import TerminalReporter

_NAME = "figures"


@pytest.fixture
def figures(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Takes a line to show at the end, under the name of the test; it gets there from parallel processes too."""
    return lambda line: record_property(_NAME, line)


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Show the lines of all tests, passed or not."""
    lines = [
        f"{report.nodeid.rpartition('/')[2]}: {line}"
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, line in report.user_properties
        if name == _NAME
    ]
    if lines:
        terminalreporter.section("figures")
        for line in lines:
            terminalreporter.write_line(line)
