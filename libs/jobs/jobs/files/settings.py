"""Where files go, as the setting JOB_FILES says: `database`, or the directory that api and worker share."""

from pathlib import Path

from jobs.files.pieces import PieceDirectory
from jobs.files.store import FileStore

DATABASE = "database"


def check_job_files(setting: str) -> str:
    """Return the setting if it can be meant. Raises ValueError."""
    if setting != DATABASE and not Path(setting).is_absolute():
        raise ValueError(f"has to be {DATABASE} or the absolute path of a directory")
    return setting


def make_file_store(setting: str, store: str) -> FileStore:
    """The files of one store of jobs: in a directory each store has a folder of its own name."""
    return FileStore() if setting == DATABASE else FileStore(PieceDirectory(Path(setting) / store))
