"""The job stores of a worker: one database for each service that has jobs."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from threading import Lock

from common.config import PasswordFileError, insert_password
from common.db import Database

from jobs.errors import UnknownStore

_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")


def parse_stores(text: str) -> dict[str, str]:
    """Return database URLs by name from `name=url,name=url`.

    Raises ValueError saying which entry is at fault; the text never holds a URL, which may hold a password.
    """
    stores: dict[str, str] = {}
    for number, entry in enumerate(text.split(","), start=1):
        name, _, url = entry.strip().partition("=")
        if not _NAME.fullmatch(name) or not url:
            raise ValueError(f"entry {number} has to read name=url, the name in lower case (api=mysql+pymysql://...)")
        if name in stores:
            raise ValueError(f"the store {name} is listed twice")
        stores[name] = url
    return stores


def read_stores(text: str) -> dict[str, str]:
    """As `parse_stores`, with the passwords that URLs name a `password_file` for.

    Raises ValueError naming every store without its password.
    """
    finished, faults = {}, []
    for name, url in parse_stores(text).items():
        try:
            finished[name] = insert_password(url)
        except PasswordFileError as error:
            faults.append(f"store {name}: {error}")
    if faults:
        raise ValueError("; ".join(faults))
    return finished


class Stores:
    """Databases by name, opened when first asked for: nothing is open when a worker forks its children."""

    def __init__(self, urls: Mapping[str, str], connect: Callable[[str], Database] = Database) -> None:
        self._factories = {name: partial(connect, url) for name, url in urls.items()}
        self._databases: dict[str, Database] = {}
        self._lock = Lock()

    def __iter__(self) -> Iterator[str]:
        return iter(self._factories)

    def database(self, name: str) -> Database:
        """Return the store's database; raises UnknownStore when this worker does not serve it."""
        if name not in self._factories:
            raise UnknownStore(f"This worker has no job store named {name!r}.")
        with self._lock:
            if name not in self._databases:
                self._databases[name] = self._factories[name]()
            return self._databases[name]

    def dispose(self) -> None:
        """Close every open connection."""
        for database in self._databases.values():
            database.dispose()
