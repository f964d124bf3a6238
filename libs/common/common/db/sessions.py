"""The two kinds of session: one that reads without a transaction, one that writes in exactly one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from sqlalchemy import event
from sqlalchemy.orm import Session

from common.db.reads import ReadOnlySessionError


class ReadSession(Session):
    """Each statement stands alone (autocommit): one round trip a read, no snapshot across statements."""

    def flush(self, objects: Any = None) -> None:
        if not self._is_clean():
            raise ReadOnlySessionError("a read session holds changed objects; changes need a write session")

    def commit(self) -> NoReturn:
        raise ReadOnlySessionError("a read session has nothing to commit; use a write session")


class WriteSession(Session):
    """Begins with its first statement and rolls back on close unless `commit()` was called."""

    #: Set once COMMIT may have reached the server: from then on the work must not be repeated blindly.
    commit_sent = False
    #: Set once the server has confirmed a commit.
    committed = False
    #: Set once a commit was asked for that is held back.
    commit_wanted = False
    _holds_commit = False

    def commit(self) -> None:
        # First, so that an error of these statements is not taken for one of COMMIT.
        self.flush()
        if self._holds_commit:
            self.commit_wanted = True
        else:
            super().commit()

    @contextmanager
    def commit_held(self) -> Iterator[None]:
        """Hold back the commit of a use case, for who has something to add to the same transaction.

        Within the block `commit` sends everything but COMMIT, and notes in `commit_wanted` that it was called.
        """
        self._holds_commit = True
        try:
            yield
        finally:
            self._holds_commit = False


@event.listens_for(WriteSession, "before_commit")
def _note_attempt(session: WriteSession) -> None:
    # Releasing a savepoint is reported as a commit too.
    session.commit_sent = session.commit_sent or not session.in_nested_transaction()


@event.listens_for(WriteSession, "after_commit")
def _note_success(session: WriteSession) -> None:
    session.committed = session.committed or not session.in_nested_transaction()
