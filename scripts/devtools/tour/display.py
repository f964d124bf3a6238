"""The tour on the terminal: each step with its curl, a progress bar above the prompt."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from devtools.tour.http import Request, Response, curl
from devtools.tour.steps import Account

STEPS = 6
TAKE_TOKEN = "python3 -c 'import json, sys; print(json.load(sys.stdin)[\"access_token\"])'"  # noqa: S105 - a shell command


class TerminalDisplay:
    """Prints the steps; the bar shows the step, and while a job runs the job."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._count = 0
        columns = (TextColumn("{task.description:<32}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        # Without a terminal a bar would only fill a log with half-drawn lines.
        self.bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._tour = self.bar.add_task("First tour", total=STEPS)
        self._job = self.bar.add_task("Job", total=None, visible=False)

    def step(self, title: str, request: Request) -> None:
        """Show the title and the call."""
        self._count += 1
        self.bar.update(self._tour, description=title)
        self._console.print()
        self._console.print(Text(f"{self._count}. {title}", style="bold"))
        self._line(command(request), "cyan")

    def answer(self, response: Response, summary: str) -> None:
        """Show status and summary."""
        self.bar.update(self._job, visible=False)
        self.bar.advance(self._tour)
        self._line(f"{response.status} {summary}".rstrip(), "green")

    def progress(self, done: int, total: int | None) -> None:
        """Move the job's bar."""
        self.bar.update(self._job, completed=done, total=total, visible=True)

    def _line(self, text: str, style: str) -> None:
        # soft_wrap: a wrapped command could not be copied.
        self._console.print(Text(f"   {text}", style=style), soft_wrap=True)


def command(request: Request) -> str:
    """Return the call for a shell; a login also keeps its token in $TOKEN for the calls after it."""
    if request.url.endswith("/auth/login"):
        return f"TOKEN=$({curl(request)} | {TAKE_TOKEN})"
    return curl(request)


def first_request(account: Account, api_url: str) -> list[str]:
    """Return two lines to copy: log in as the tour's account, then ask the api."""
    listing = Request("GET", f"{api_url}/api/v1/contacts?limit=3", token="$TOKEN")  # noqa: S106 - a shell's variable
    return [command(account.login()), curl(listing)]
