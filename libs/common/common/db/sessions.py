"""The two kinds of session: one that reads without a transaction, one that writes in exactly one."""

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

    def commit(self) -> None:
        # First, so that an error of these statements is not taken for one of COMMIT.
        self.flush()
        super().commit()


@event.listens_for(WriteSession, "before_commit")
def _note_attempt(session: WriteSession) -> None:
    # Releasing a savepoint is reported as a commit too.
    session.commit_sent = session.commit_sent or not session.in_nested_transaction()


@event.listens_for(WriteSession, "after_commit")
def _note_success(session: WriteSession) -> None:
    session.committed = session.committed or not session.in_nested_transaction()
