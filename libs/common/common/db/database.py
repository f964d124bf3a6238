"""One database of a service: its pool, and sessions that say whether they read or write."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from weakref import WeakSet

from sqlalchemy import URL, Engine
from sqlalchemy.orm import Session, sessionmaker

from common.db.engine import READ_TIMEOUT_SECONDS, make_engine
from common.db.reads import READ_ONLY, WITHOUT_TRANSACTION
from common.db.sessions import ReadSession, WriteSession


class Database:
    """A pool of connections and the sessions on it. Opens nothing until the first statement.

    `pool_size` is the number of threads that use it at once. `tls_ca` names a file of CA certificates: with it MySQL
    connections use TLS and verify the server's name, without it they are plain. Raises DatabaseURLError.
    """

    def __init__(
        self,
        url: str | URL,
        *,
        pool_size: int = 4,
        tls_ca: str | Path | None = None,
        read_timeout_seconds: int = READ_TIMEOUT_SECONDS,
    ) -> None:
        self.pool_size = pool_size
        self.engine = make_engine(url, pool_size=pool_size, tls_ca=tls_ca, read_timeout_seconds=read_timeout_seconds)
        # The same pool; only the "begin" of a transaction differs.
        self._read_engine = self.engine.execution_options(**{READ_ONLY: True})
        self._reads = sessionmaker(self._read_engine, class_=ReadSession, autoflush=False)
        # Objects stay usable after the commit: a refresh would cost another transaction.
        self._writes = sessionmaker(self.engine, class_=WriteSession, expire_on_commit=False)
        self._statement_engine = self.engine.execution_options(**{WITHOUT_TRANSACTION: True})
        self._statements = sessionmaker(
            self._statement_engine, class_=WriteSession, autoflush=False, expire_on_commit=False
        )
        _databases.add(self)

    @property
    def url(self) -> URL:
        """Where it is; `str()` of it hides the password."""
        return self.engine.url

    @property
    def dialect_name(self) -> str:
        """`mysql` or `sqlite`."""
        return self.engine.dialect.name

    @property
    def read_engine(self) -> Engine:
        """The engine of the read sessions, for Core reads without a session."""
        return self._read_engine

    @property
    def statement_engine(self) -> Engine:
        """The engine of `statements()`, for Core statements without a session; each commits by itself."""
        return self._statement_engine

    def new_session(self, *, read_only: bool) -> Session:
        """A session the caller closes. Read sessions refuse every write; write sessions roll back unless committed."""
        return self._reads() if read_only else self._writes()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A read session, closed at the end of the block."""
        with self._reads() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[WriteSession]:
        """A write session, rolled back at the end of the block unless the block called `session.commit()`."""
        with self._writes() as session:
            yield session

    @contextmanager
    def statements(self) -> Iterator[WriteSession]:
        """A session without a transaction: each statement commits by itself, in one round trip instead of three.

        For work whose only write is one conditional statement; nothing in it can be rolled back.
        """
        with self._statements() as session:
            yield session

    def warm(self) -> None:
        """Open the whole pool now, so that no request pays for connecting. Raises sqlalchemy.exc.OperationalError."""
        with ExitStack() as connections:
            for _ in range(self.pool_size):
                connections.enter_context(self._read_engine.connect())

    def dispose(self) -> None:
        """Close the pooled connections; the next statement opens new ones."""
        self.engine.dispose()


_databases: WeakSet[Database] = WeakSet()


def _forget_inherited_connections() -> None:
    # Two processes on one socket corrupt each other's protocol, so a forked child starts with an empty pool. The
    # sockets stay the parent's: they are not closed politely here, which would end the parent's session.
    for database in _databases:
        database.engine.dispose(close=False)


os.register_at_fork(after_in_child=_forget_inherited_connections)
