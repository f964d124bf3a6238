"""What the terminal shows of the services: each line with its service's name and colour, and all of it in log files."""

from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

STYLES = {"valkey": "red", "auth": "cyan", "api": "green", "worker": "magenta", "dispatcher": "yellow"}


class ServicePrinter:
    """Takes honcho's messages. Until `reveal` the lines go to the log files only, so that the tour can be read."""

    width = 0  # honcho sets it to the longest name

    def __init__(self, console: Console, folder: Path) -> None:
        self._console = console
        self._folder = folder
        self._files: dict[str, TextIO] = {}
        self._revealed = False

    def reveal(self) -> None:
        """Show the lines from now on."""
        self._revealed = True

    def conceal(self) -> None:
        """Keep the lines to the log files again."""
        self._revealed = False

    def write(self, message: Any) -> None:
        """Take one message of honcho: name, time, data (bytes or text)."""
        text = message.data.decode("utf-8", "replace") if isinstance(message.data, bytes) else message.data
        for line in text.splitlines():
            self._file(message.name).write(f"{message.time:%H:%M:%S} {line}\n")
            # honcho's own lines (name "system") tell of pids and signals; they are for the log.
            if self._revealed and message.name in STYLES:
                self._show(message.name, line)

    def last_lines(self, name: str, count: int = 15) -> list[str]:
        """Return the end of one service's log of this run."""
        path = self._folder / f"{name}.log"
        return path.read_text(errors="replace").splitlines()[-count:] if path.exists() else []

    def _show(self, name: str, line: str) -> None:
        prefix = Text(f"{name:<{self.width}} | ", style=STYLES[name])
        try:
            self._console.print(prefix + Text.from_ansi(line), soft_wrap=True)
        except OSError:  # the terminal was closed; the run still has to end in order
            self.conceal()

    def _file(self, name: str) -> TextIO:
        if name not in self._files:
            self._files[name] = (self._folder / f"{name}.log").open("w", buffering=1)
        return self._files[name]
