"""What a terminal shows: tables with lines, and progress bars while jobs run."""

import io
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from typing import Any

import pytest
from jobs import transitions
from jobs.cli import output, watching
from jobs.cli.watching import Look, watch_store
from jobs.lease import Lease
from jobs.testing import StoreHarness
from rich.console import Console


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return terminal


def test_a_table_has_lines_and_states_colours_and_takes_no_markup(terminal: Terminal) -> None:
    with redirect_stdout(terminal):
        output.print_table(("STATE", "ERROR"), [("dead", "[red]no markup[/]")])
    shown = terminal.getvalue()
    assert "\x1b[1;31mdead" in shown
    assert "[red]no markup[/]" in shown
    assert "───" in shown


def test_a_narrow_terminal_takes_more_lines_and_shows_every_character(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    row = (
        "01a20984-54ab-7217-9c5c-e056b9ad3b4c",
        "dead",
        "contacts.import",
        "8/8",
        "1000000/1000000 rows",
        "handler-error",
    )
    with redirect_stdout(terminal):
        output.print_table(("ID", "STATE", "KIND", "ATTEMPTS", "PROGRESS", "ERROR"), [row])
    shown = terminal.getvalue()
    assert row[0] in shown
    assert "…" not in shown
    assert all(len(line) <= 80 for line in shown.splitlines())
    letters = sorted("".join(shown.split()).replace("─", ""))
    assert letters == sorted("".join(row).replace(" ", "") + "IDSTATEKINDATTEMPTSPROGRESSERROR")


def test_running_jobs_have_bars(store: StoreHarness, terminal: Terminal) -> None:
    lease = store.start()
    saved = {"progress": {"done": 50, "total": 100, "unit": "rows"}}
    store.transition(transitions.save_progress, lease, saved, advanced=True)
    store.start(kind="letters")  # it has said nothing yet
    [look] = one_look(store)
    console = Console(file=io.StringIO(), width=140, force_terminal=True)
    console.print(watching._draw(look))
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "0 queued, 2 running, 0 failed, 0 dead; nothing is due" in shown
    assert str(lease.job_id) in shown
    assert "50/100 rows" in shown
    assert "━" in shown


def one_look(store: StoreHarness) -> Iterator[Look]:
    yield next(watching._looks(store.database, 1, 10, until_idle=False))


def test_a_terminal_is_drawn_over_again_until_nothing_is_left(store: StoreHarness, terminal: Terminal) -> None:
    with redirect_stdout(terminal):
        watch_store(store.database, every=1, limit=5, until_idle=True, as_json=False)
    assert "0 queued, 0 running" in terminal.getvalue()


def test_plain_lines_are_written_when_something_changed(
    store: StoreHarness, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = store.enqueue()
    steps: Iterator[Callable[[], Any]] = iter(
        [lambda: None, lambda: store.claim(job_id), lambda: transitions_end(store, job_id)]
    )
    monkeypatch.setattr(watching.time, "sleep", lambda _seconds: next(steps)())
    monkeypatch.setattr(watching.texts, "waits", lambda _stats: "-")
    watch_store(store.database, every=1, limit=5, until_idle=True, as_json=False)
    lines = [line.split("  ")[1:] for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["1 queued, 0 running, 0 failed, 0 dead; -"],
        ["0 queued, 1 running, 0 failed, 0 dead; -"],
        [str(job_id), "numbers", "-"],
        ["0 queued, 0 running, 0 failed, 0 dead; -"],
    ]


def transitions_end(store: StoreHarness, job_id: Any) -> None:
    store.transition(transitions.succeed, Lease(job_id, 1), None)


def test_ctrl_c_ends_it_without_a_word(store: StoreHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(watching.time, "sleep", interrupt)
    watch_store(store.database, every=1, limit=5, until_idle=False, as_json=True)
