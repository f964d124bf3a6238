"""Values of a chart as a table: the comments of values.yaml are the only place where they are described.

A comment right above a value belongs to it. A section that has a comment while nothing in it has one becomes a single
line. A line `# name:` at the end of a comment is a value without default, which has to be set.
"""

import argparse
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from devtools.paths import ROOT
from devtools.say import note

BEGIN = "<!-- values: scripts/chart-readme writes this table from the comments in values.yaml -->"
END = "<!-- end of values -->"
_KEY = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z0-9_./-]+):(?: +(?P<default>.*))?$")
_ABSENT = re.compile(r"^([A-Za-z0-9_]+):$")


@dataclass
class Value:
    """A key of values.yaml; `indent` is -2 for the file itself."""

    key: str
    indent: int
    comment: str = ""
    default: str = ""
    children: list["Value"] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None, charts: Path = ROOT / "charts") -> int:
    """Write or check the tables of all charts; return 1 where one is not current, or has no place in its README."""
    parser = argparse.ArgumentParser(prog="scripts/chart-readme", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 where a table is not current")
    check = parser.parse_args(arguments).check
    failed = 0
    for values in sorted(charts.glob("*/values.yaml")):
        readme = values.with_name("README.md")
        old = readme.read_text(encoding="utf-8") if readme.exists() else ""
        if BEGIN not in old or END not in old:
            note(f"{readme}: the lines {BEGIN} and {END} are missing")
            failed = 1
            continue
        new = with_table(old, table(values.read_text(encoding="utf-8")))
        if new == old:
            continue
        if check:
            note(f"{readme}: not what values.yaml says; run scripts/chart-readme")
            failed = 1
        else:
            readme.write_text(new, encoding="utf-8")
            note(f"{readme}: written")
    return failed


def with_table(readme: str, text: str) -> str:
    """Return the README with the table between its marks replaced."""
    before, rest = readme.split(BEGIN, 1)
    return f"{before}{BEGIN}\n{text}\n{END}{rest.split(END, 1)[1]}"


def table(values: str) -> str:
    """Return the table of a values.yaml."""
    rows = [f"| `{path}` | {default} | {_cell(comment)} |" for path, default, comment in _rows(read(values), "")]
    return "\n".join(["| value | default | what it is |", "|---|---|---|", *rows])


def read(text: str) -> Value:
    """Return the tree of a values.yaml: its mappings in block style; all else is text."""
    root = Value("", -2)
    open_values, comment = [root], list[str]()
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            comment.append(stripped.removeprefix("#").strip())
            continue
        if comment and not stripped and (absent := _ABSENT.match(comment[-1])):
            root.children.append(Value(absent[1], 0, " ".join(comment[:-1]), "has to be set"))
        match = _KEY.match(line)
        if match:
            indent = len(match["indent"])
            while open_values[-1].indent >= indent:
                open_values.pop()
            value = Value(match["key"], indent, " ".join(comment), match["default"] or "")
            open_values[-1].children.append(value)
            open_values.append(value)
        elif stripped:
            open_values[-1].default += f" {stripped}"
        comment = []
    return root


def _rows(value: Value, prefix: str) -> Iterator[tuple[str, str, str]]:
    for child in value.children:
        path = f"{prefix}{_segment(child.key)}"
        is_leaf = not child.children
        if is_leaf or (child.comment and not _is_commented(child.children)):
            default = _flow(child)
            shown = default if default == "has to be set" else f"`{_cell(default)}`"
            yield path, shown, child.comment
        else:
            if child.comment:
                yield path, "", child.comment
            yield from _rows(child, f"{path}.")


def _is_commented(values: Sequence[Value]) -> bool:
    return any(value.comment or _is_commented(value.children) for value in values)


def _flow(value: Value) -> str:
    if not value.children:
        return value.default.strip()
    return "{" + ", ".join(f"{child.key}: {_flow(child)}" for child in value.children) + "}"


def _segment(key: str) -> str:
    """A key with dots in it is one step of a path: --set wants them escaped."""
    return key.replace(".", "\\.")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
