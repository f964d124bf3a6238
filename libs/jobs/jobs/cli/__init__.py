"""`flask jobs`: the jobs of a store, for who looks after them. It needs no application, and JOB_STORES alone."""

from jobs.cli.commands import jobs

__all__ = ["jobs"]
