"""The two kinds of session: one that reads without a transaction, one that writes in exactly one."""

from typing import Any, NoReturn

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
        self.flush()
        self.commit_sent = self.commit_sent or self.in_transaction()
        super().commit()
        self.committed = self.commit_sent
