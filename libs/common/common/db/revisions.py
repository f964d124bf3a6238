"""What this code knows of a package's migrations, read from the revision files.

Alembic would tell the same, for a tenth of a second and 11 MiB in each process that only wants to know if it is ready.
"""

import ast
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import OperationalError, ProgrammingError

from common.db.database import Database
from common.db.mysql import error_code

_NO_SUCH_TABLE = 1146
# Of alembic_version.version_num: SQLite would take more, MySQL fail when the revision is done.
_MAX_LENGTH = 32


class MigrationsNotFoundError(LookupError):
    """The named package is not installed or has no migrations folder."""


@dataclass(frozen=True)
class Revisions:
    """The revisions of a package: all of them, and those no other one follows."""

    known: frozenset[str]
    heads: frozenset[str]


def schema_is_current(database: Database, package: str) -> bool:
    """Whether this code can work with the schema: at the newest revision it knows, or at one it does not know.

    Unknown means newer, made by a later release. An older revision, or none, is False. One statement. Raises
    SQLAlchemy's OperationalError if the database does not answer.
    """
    revisions = read_revisions(package)
    try:
        with database.read() as session:
            current = set(session.scalars(text("SELECT version_num FROM alembic_version")))
    except (ProgrammingError, OperationalError) as error:
        if _is_missing_table(error):
            return False
        raise
    return bool(current) and (current >= revisions.heads or not current <= revisions.known)


def _is_missing_table(error: ProgrammingError | OperationalError) -> bool:
    original = error.orig
    return original is not None and (error_code(original) == _NO_SUCH_TABLE or "no such table" in str(original))


@lru_cache
def read_revisions(package: str) -> Revisions:
    """The revisions in the package's migrations folder. Raises MigrationsNotFoundError."""
    files = (migrations_folder(package) / "versions").glob("*.py")
    identifiers = [_identifiers(file) for file in files if file.name != "__init__.py"]
    known = {revision for own, _ in identifiers for revision in own}
    followed = {revision for _, earlier in identifiers for revision in earlier}
    return Revisions(frozenset(known), frozenset(known - followed))


def _identifiers(file: Path) -> tuple[list[str], list[str]]:
    """The texts assigned to `revision` and to `down_revision`."""
    texts: dict[str, list[str]] = {}
    for statement in ast.parse(file.read_text(encoding="utf-8"), file.name).body:
        for name, value in _assignments(statement):
            texts[name] = [
                node.value for node in ast.walk(value) if isinstance(node, ast.Constant) and isinstance(node.value, str)
            ]
    if len(texts.get("revision", [])) != 1:
        raise ValueError(f'{file} does not say its revision as a plain text (revision = "...")')
    if len(texts["revision"][0]) > _MAX_LENGTH:
        raise ValueError(f"{file}: a revision has at most {_MAX_LENGTH} characters")
    return texts["revision"], texts.get("down_revision", [])


def _assignments(statement: ast.stmt) -> list[tuple[str, ast.expr]]:
    if isinstance(statement, ast.AnnAssign) and statement.value is not None:
        return [(ast.unparse(statement.target), statement.value)]
    if not isinstance(statement, ast.Assign):
        return []
    target, value = statement.targets[0], statement.value
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        return [(ast.unparse(name), part) for name, part in zip(target.elts, value.elts, strict=True)]
    return [(ast.unparse(target), value)]


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
