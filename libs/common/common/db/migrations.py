"""Schema migrations: each package with a database keeps Alembic revisions in `<package>/migrations`.

Its `env.py` is two lines: import the metadata and call `run_migrations(Base.metadata)`. Alembic is imported where it is
used: services that only ask whether they are ready do without it (see revisions.py).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, MetaData

from common.db.engine import make_engine
from common.db.grants import Account, apply_grants, plan_grants
from common.db.migration_lock import locked_connection
from common.db.revisions import migrations_folder, read_revisions

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext, MigrationInfo


# A statement that changes a table waits for the transactions that use it, and every later statement on that table waits
# behind it. One that cannot have the table soon has to fail, or a forgotten transaction stops the whole service.
DDL_WAIT_SECONDS = 10


def migrate(
    database_url: str,
    package: str,
    *,
    tls_ca: str | Path | None = None,
    lock_wait_seconds: int = 300,
    grants: Mapping[str, Account] | None = None,
) -> list[str]:
    """Bring the database to the package's newest revision; give back the revisions applied, oldest first.

    Any number of processes may call it at once: one migrates, the others wait up to `lock_wait_seconds` and find
    nothing to do (LockNotAcquiredError past that). A revision unknown here means that the database is newer than
    this code: it stays as it is. Then each role of `grants` is granted to its account, whether there was anything to
    apply or not (grants.py). A statement that waits for a lock fails after DDL_WAIT_SECONDS.
    Raises MigrationsNotFoundError, DatabaseURLError, GrantError and SQLAlchemy's errors.
    """
    folder = migrations_folder(package)
    # Altering a large table takes as long as it takes: no read timeout here.
    engine = make_engine(
        database_url, pool_size=1, tls_ca=tls_ca, read_timeout_seconds=None, ddl_wait_seconds=DDL_WAIT_SECONDS
    )
    try:
        plan = plan_grants(package, grants or {}, engine.dialect.name)
        with locked_connection(engine, wait_seconds=lock_wait_seconds) as connection:
            is_newer = not _current_revisions(connection) <= read_revisions(package).known
            applied = [] if is_newer else _upgrade(connection, folder)
            apply_grants(connection, plan, is_newer=is_newer)
            return applied
    finally:
        engine.dispose()


def _current_revisions(connection: Connection) -> set[str]:
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415 - see the module's first lines

    current = set(MigrationContext.configure(connection).get_current_heads())
    connection.rollback()
    return current


def _upgrade(connection: Connection, folder: Path) -> list[str]:
    from alembic import command  # noqa: PLC0415 - see the module's first lines
    from alembic.config import Config  # noqa: PLC0415

    if connection.dialect.name == "sqlite":
        _stop_cascades(connection)
    config, applied = Config(), list[str]()
    # Alembic expands % in its options.
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes.update(connection=connection, applied=applied)
    command.upgrade(config, "heads")
    return applied


def _stop_cascades(connection: Connection) -> None:
    """SQLite changes a table by making it anew and dropping the old one, which would delete what points to it.

    For the rest of the connection; it cannot be changed within a transaction.
    """
    cursor = connection.connection.cursor()
    cursor.execute("PRAGMA foreign_keys = OFF")
    cursor.close()


def run_migrations(*metadata: MetaData) -> None:
    """The body of a package's `env.py`: run what Alembic was asked for against the metadata of the package's models."""
    from alembic import context  # noqa: PLC0415 - see the module's first lines

    connection: Connection = context.config.attributes["connection"]
    applied: list[str] = context.config.attributes["applied"]

    def finish_revision(ctx: "MigrationContext", step: "MigrationInfo", heads: object, run_args: object) -> None:
        if connection.dialect.name == "sqlite":
            _refuse_orphans(connection)
        applied.extend(step.up_revision_ids)

    context.configure(
        connection=connection,
        target_metadata=metadata,
        # On SQLite a failed revision leaves nothing behind; MySQL commits each DDL statement by itself.
        transactional_ddl=connection.dialect.name == "sqlite",
        transaction_per_migration=True,
        on_version_apply=finish_revision,
    )
    with context.begin_transaction():
        context.run_migrations()


def _refuse_orphans(connection: Connection) -> None:
    # Foreign keys were off meanwhile.
    orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(5)
    if orphans:
        raise RuntimeError(f"the revision leaves rows without their parents (table, row, parent, key): {orphans}")
