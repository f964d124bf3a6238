"""`python -m jobs.cli`: the same as `flask jobs`, which is there only where the package is installed."""

from jobs.cli.commands import jobs

jobs(prog_name="python -m jobs.cli")
