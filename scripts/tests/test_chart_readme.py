"""The table of values in a chart's README."""

from pathlib import Path

import pytest
from devtools.chart_readme import BEGIN, END, main, table

VALUES = """\
# The file's own words.

# No default.
# appEnv:

image:
  # Where it
  # comes from.
  repository: redprint/auth
  tag: ""

# How it starts.
probe:
  periodSeconds: 2
  nested:
    a: 1

# A list | of things.
things:
  - one
# For the controller.
annotations:
  # Bodies.
  example.com/size: 1m
"""

ROWS = """\
| value | default | what it is |
|---|---|---|
| `appEnv` | has to be set | No default. |
| `image.repository` | `redprint/auth` | Where it comes from. |
| `image.tag` | `""` |  |
| `probe` | `{periodSeconds: 2, nested: {a: 1}}` | How it starts. |
| `things` | `- one` | A list \\| of things. |
| `annotations` |  | For the controller. |
| `annotations.example\\.com/size` | `1m` | Bodies. |"""


def test_values_become_rows_with_the_comment_above_them() -> None:
    assert table(VALUES) == ROWS


@pytest.fixture
def charts(tmp_path: Path) -> Path:
    chart = tmp_path / "auth"
    chart.mkdir()
    (chart / "values.yaml").write_text(VALUES)
    (chart / "README.md").write_text(f"# auth\n\n{BEGIN}\nold\n{END}\n\nThe end.\n")
    return tmp_path


def test_the_table_is_written_between_its_marks(charts: Path) -> None:
    assert main([], charts) == 0
    assert (charts / "auth/README.md").read_text() == f"# auth\n\n{BEGIN}\n{ROWS}\n{END}\n\nThe end.\n"
    assert main(["--check"], charts) == 0


def test_check_finds_an_old_table_and_changes_nothing(charts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"], charts) == 1
    assert "not what values.yaml says" in capsys.readouterr().err
    assert "\nold\n" in (charts / "auth/README.md").read_text()


def test_a_readme_without_a_place_for_the_table_is_an_error(charts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (charts / "auth/README.md").write_text("# auth\n")
    assert main(["--check"], charts) == 1
    assert "are missing" in capsys.readouterr().err
