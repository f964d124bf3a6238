"""Schema migrations: each package with a database keeps Alembic revisions in `<package>/migrations`.

Its `env.py` is two lines: import the metadata and call `run_migrations(Base.metadata)`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from alembic import command, context
from alembic.config import Config
from alembic.runtime.migration import MigrationContext, MigrationInfo
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from common.db.database import Database
from common.db.engine import make_engine
from common.db.migration_lock import locked_connection
from common.db.mysql import error_code

_NO_SUCH_TABLE = 1146


class MigrationsNotFoundError(LookupError):
    """The named package is not installed or has no migrations folder."""


def migrate(
    database_url: str, package: str, *, tls_ca: str | Path | None = None, lock_wait_seconds: int = 300
) -> list[str]:
    """Bring the database to the package's newest revision; give back the revisions applied, oldest first.

    Any number of processes may call it at once: one migrates, the others wait up to `lock_wait_seconds` and find
    nothing to do (LockNotAcquiredError past that). A revision unknown here means that the database is newer than
    this code: nothing is done. Raises MigrationsNotFoundError, DatabaseURLError and SQLAlchemy's errors.
    """
    config = _config(package)
    # Altering a large table takes as long as it takes: no read timeout here.
    engine = make_engine(database_url, pool_size=1, tls_ca=tls_ca, read_timeout_seconds=None)
    try:
        with locked_connection(engine, wait_seconds=lock_wait_seconds) as connection:
            return _upgrade(connection, config, package)
    finally:
        engine.dispose()


def _upgrade(connection: Connection, config: Config, package: str) -> list[str]:
    with _foreign_keys_off(connection):
        current = set(MigrationContext.configure(connection).get_current_heads())
        connection.rollback()
        if not current <= _known_revisions(package):
            return []
        applied: list[str] = []
        config.attributes.update(connection=connection, applied=applied)
        command.upgrade(config, "heads")
        return applied


@contextmanager
def _foreign_keys_off(connection: Connection) -> Iterator[None]:
    """SQLite changes a table by making it anew and dropping the old one, which would cascade to its children."""
    if connection.dialect.name != "sqlite":
        yield
        return
    driver = connection.connection.cursor()
    driver.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
        broken = driver.execute("PRAGMA foreign_key_check").fetchall()
        if broken:
            raise RuntimeError(f"the migration left rows without their parents: {broken[:5]}")
    finally:
        driver.execute("PRAGMA foreign_keys = ON")
        driver.close()


def run_migrations(*metadata: MetaData) -> None:
    """The body of a package's `env.py`: run what Alembic was asked for against the metadata of the package's models."""
    attributes = context.config.attributes
    applied: list[str] = attributes["applied"]

    def remember(ctx: MigrationContext, step: MigrationInfo, heads: object, run_args: object) -> None:
        applied.extend(step.up_revision_ids)

    connection: Connection = attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=metadata,
        # On SQLite a failed revision leaves nothing behind; MySQL commits each DDL statement by itself.
        transactional_ddl=connection.dialect.name == "sqlite",
        transaction_per_migration=True,
        on_version_apply=remember,
    )
    with context.begin_transaction():
        context.run_migrations()


def schema_is_current(database: Database, package: str) -> bool:
    """Whether this code can work with the schema: at the newest revision it knows, or at one it does not know.

    Unknown means newer, made by a later release. An older revision, or none, is False. One statement. Raises
    SQLAlchemy's OperationalError if the database does not answer.
    """
    try:
        with database.read() as session:
            current = set(session.scalars(text("SELECT version_num FROM alembic_version")))
    except (ProgrammingError, OperationalError) as error:
        if _is_missing_table(error):
            return False
        raise
    return bool(current) and (current >= _heads(package) or not current <= _known_revisions(package))


def _is_missing_table(error: ProgrammingError | OperationalError) -> bool:
    original = error.orig
    return original is not None and (error_code(original) == _NO_SUCH_TABLE or "no such table" in str(original))


@lru_cache
def _heads(package: str) -> frozenset[str]:
    return frozenset(ScriptDirectory.from_config(_config(package)).get_heads())


@lru_cache
def _known_revisions(package: str) -> frozenset[str]:
    scripts = ScriptDirectory.from_config(_config(package))
    return frozenset(script.revision for script in scripts.walk_revisions())


def _config(package: str) -> Config:
    config = Config()
    # Alembic expands % in its options.
    config.set_main_option("script_location", str(migrations_folder(package)).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def migrations_folder(package: str) -> Path:
    """The folder of the package's Alembic environment. Raises MigrationsNotFoundError."""
    try:
        spec = find_spec(package)
    except (ImportError, ValueError):
        spec = None
    if spec is None or spec.origin is None:
        raise MigrationsNotFoundError(f"there is no package {package!r} here; is it installed?")
    folder = Path(spec.origin).parent / "migrations"
    if not (folder / "env.py").is_file():
        raise MigrationsNotFoundError(f"{package} has no migrations: {folder / 'env.py'} is missing")
    return folder
