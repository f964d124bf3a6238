"""Files that tell a probe how a process is: without a port, and without starting an interpreter to look."""

from pathlib import Path


class ProbeFile:
    """A file in the run directory: there or not (ready), or how old (alive)."""

    def __init__(self, run_dir: Path, name: str) -> None:
        self.path = run_dir / name

    def touch(self) -> None:
        """Make the file, or make it new again."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch()

    def remove(self) -> None:
        """Take the file away, if it is there."""
        self.path.unlink(missing_ok=True)
