"""Tables to write to, and packages with migrations made for a test."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from textwrap import dedent
from uuid import UUID, uuid4

import pytest
from common.db import Database, ModelDefaults, new_metadata
from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(ModelDefaults, DeclarativeBase):
    metadata = new_metadata()


class Author(Base):
    __tablename__ = "authors"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    born_at: Mapped[datetime | None]


class Book(Base):
    __tablename__ = "books"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    author_id: Mapped[UUID] = mapped_column(ForeignKey("authors.id", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(String(100))


@dataclass(frozen=True)
class Library:
    """A database of authors and books, and short ways to use it."""

    database: Database

    Author = Author
    Book = Book

    def add(self, name: str) -> UUID:
        with self.database.write() as session:
            author = Author(id=uuid4(), name=name)
            session.add(author)
            session.commit()
        return author.id

    def names(self) -> list[str]:
        with self.database.read() as session:
            return sorted(author.name for author in session.query(Author))


@pytest.fixture
def library(make_database: Callable[..., Database]) -> Library:
    return Library(make_database(Base.metadata))


@pytest.fixture
def on_mysql(database_backend: str) -> None:
    """For tests that run on MySQL alone, together with the `database_backend` parameter."""
    assert database_backend == "mysql"


FIRST_REVISION = """
    from alembic import op
    import sqlalchemy as sa

    revision, down_revision = "0001_authors", None

    def upgrade():
        op.create_table(
            "authors",
            sa.Column("id", sa.BINARY(16), nullable=False),
            sa.Column("name", sa.String(100), nullable=False),
            sa.PrimaryKeyConstraint("id", name="pk_authors"),
        )
"""
SECOND_REVISION = """
    from alembic import op
    import sqlalchemy as sa

    revision, down_revision = "0002_born", "0001_authors"

    def upgrade():
        with op.batch_alter_table("authors") as authors:
            authors.add_column(sa.Column("born", sa.Integer()))
"""
ENV = """
    from common.db import new_metadata
    from common.db.migrations import run_migrations

    run_migrations(new_metadata())
"""


class SamplePackage:
    """An importable package with migrations that the test writes."""

    def __init__(self, folder: Path) -> None:
        self.name = f"sample_{uuid4().hex[:12]}"
        self.folder = folder / self.name
        self.write("__init__.py", "")
        self.write("migrations/env.py", ENV)
        self.write("migrations/versions/0001_authors.py", FIRST_REVISION)

    def write(self, path: str, source: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(source))

    def add_second_revision(self, source: str = SECOND_REVISION) -> None:
        self.write("migrations/versions/0002_second.py", source)


@pytest.fixture
def sample_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SamplePackage]:
    """A package with one revision. What the code knows of a package is read once: add revisions before asking."""
    monkeypatch.syspath_prepend(tmp_path)
    package = SamplePackage(tmp_path)
    yield package
    sys.modules.pop(package.name, None)
