"""What the person at the terminal sees of a run: the wait, the tour, where everything is, the end."""

import time

from rich.console import Console
from rich.text import Text

from devtools.run.manager import Processes
from devtools.run.output import ServicePrinter
from devtools.run.stack import Stack
from devtools.tour.display import TerminalDisplay, first_request
from devtools.tour.http import wait_for
from devtools.tour.steps import Account, TourFailed, take_tour

READY_SECONDS = 60


class Guide:
    """Leads through one run; `show` works beside the services' manager, in a thread of its own."""

    def __init__(
        self, console: Console, printer: ServicePrinter, stack: Stack, *, with_tour: bool, begun: float
    ) -> None:
        self._console = console
        self._printer = printer
        self._stack = stack
        self._with_tour = with_tour
        self._begun = begun
        self._problem = ""

    def show(self, processes: Processes) -> None:
        """Wait for the services, take the tour, print where everything is; a problem ends the run."""
        try:
            self._wait(processes)
            account = self._take_tour() if self._with_tour else None
        except TourFailed as problem:
            if not processes.stopping.is_set():
                self._problem = str(problem)
                processes.terminate()
            return
        self._console.print(Text(self._overview(account)), soft_wrap=True)
        self._printer.reveal()

    def farewell(self, processes: Processes) -> int:
        """Say how it ended and return the exit status: 0 after a signal, 1 after anything else."""
        if self._problem:
            self._console.print(Text(f"make run: {self._problem}", style="red"), soft_wrap=True)
        elif not processes.stopped_by_user:
            self._blame(processes)
        else:
            self._console.print(Text("Stopped. .local/ keeps keys, data and logs; make clean deletes it."))
            return 0
        return 1

    def _wait(self, processes: Processes) -> None:
        self._say("Starting valkey, auth, api, worker and dispatcher ...")
        for name, url in (("auth", self._stack.auth_url), ("api", self._stack.api_url)):
            if not wait_for(f"{url}/readyz", READY_SECONDS, processes.stopping):
                raise TourFailed(
                    f"{name} is not ready after {READY_SECONDS} s. Its log: {self._stack.folder}/logs/{name}.log"
                )
        self._say(f"Everything is up after {time.monotonic() - self._begun:.1f} s.")

    def _take_tour(self) -> Account:
        display = TerminalDisplay(self._console)
        with display.bar:
            account = take_tour(display, self._stack.auth_url, self._stack.api_url)
        self._say(f"\nThe tour is over after {time.monotonic() - self._begun:.1f} s.")
        return account

    def _overview(self, account: Account | None) -> str:
        ports = self._stack.ports
        database = "MySQL" if self._stack.api_database.startswith("mysql") else "SQLite in .local/data/"
        lines = [
            "",
            f"  auth        {self._stack.auth_url}   metrics http://127.0.0.1:{ports.auth_metrics_port}/metrics",
            f"  api         {self._stack.api_url}   metrics http://127.0.0.1:{ports.api_metrics_port}/metrics",
            f"  worker      in the background       metrics http://127.0.0.1:{ports.worker_metrics_port}/metrics",
            f"  dispatcher  in the background       metrics http://127.0.0.1:{ports.dispatcher_metrics_port}/metrics",
            f"  database    {database}",
            "  logs        below, and in .local/logs/",
        ]
        if account is not None:
            lines += ["", "Your turn:", *(f"  {line}" for line in first_request(account, self._stack.api_url))]
        return "\n".join([*lines, "", "Ctrl-C stops everything.", ""])

    def _blame(self, processes: Processes) -> None:
        name, status = processes.first_to_end or ("a service", 1)
        for line in self._printer.last_lines(name):
            self._say(f"  {line}")
        self._console.print(
            Text(f"make run: {name} ended with status {status}; the lines above are the end of its log.", style="red"),
            soft_wrap=True,
        )

    def _say(self, text: str) -> None:
        self._console.print(Text(text), soft_wrap=True)
