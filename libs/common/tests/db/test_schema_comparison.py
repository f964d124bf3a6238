"""The check that models and migrations agree."""

import pytest
from common.db import new_metadata
from common.db.types import UUIDBinary
from common.testing.schemas import assert_models_match_migrations
from sqlalchemy import CheckConstraint, Column, Computed, Index, Integer, String, Table, text


def authors(*more, name_type=None, name_nullable=False):
    metadata = new_metadata()
    Table(
        "authors",
        metadata,
        Column("id", UUIDBinary(), primary_key=True),
        Column("name", name_type or String(100), nullable=name_nullable),
        *more,
    )
    return metadata


FIRST_REVISION = """
    from alembic import op
    import sqlalchemy as sa
    from common.db import UUIDBinary

    revision, down_revision = "0001_authors", None

    def upgrade():
        op.create_table(
            "authors",
            sa.Column("id", UUIDBinary(), nullable=False),
            sa.Column("name", sa.String(100), nullable=False),
            sa.PrimaryKeyConstraint("id", name="pk_authors"),
        )
"""


@pytest.fixture(autouse=True)
def _first_revision(sample_package):
    sample_package.write("migrations/versions/0001_authors.py", FIRST_REVISION)


def test_equal_schemas_pass(make_database, sample_package):
    assert_models_match_migrations(make_database, sample_package.name, authors())


def test_the_order_of_columns_is_free(make_database, sample_package):
    sample_package.add_second_revision()
    metadata = new_metadata()
    Table(
        "authors",
        metadata,
        Column("born", Integer),
        Column("name", String(100), nullable=False),
        Column("id", UUIDBinary(), primary_key=True),
    )
    assert_models_match_migrations(make_database, sample_package.name, metadata)


@pytest.mark.parametrize(
    ("metadata", "named"),
    [
        (authors(Column("born", Integer)), "born"),
        (authors(name_type=String(99)), "99"),
        (authors(name_nullable=True), "name"),
        (authors(Column("name_length", Integer, Computed("length(name)"))), "name_length"),
        (authors(Index(None, "name")), "ix_authors_name"),
        (authors(Index(None, "name", unique=True)), "ix_authors_name"),
        (authors(CheckConstraint("name <> ''", name="named")), "ck_authors_named"),
        (authors(Column("kind", String(5), server_default=text("'a'"))), "kind"),
    ],
)
def test_what_the_migrations_lack_is_named(make_database, sample_package, metadata, named):
    with pytest.raises(AssertionError, match="the migrations and the models of") as difference:
        assert_models_match_migrations(make_database, sample_package.name, metadata)
    assert named in str(difference.value)


def test_what_the_models_lack_is_named(make_database, sample_package):
    sample_package.add_second_revision()
    with pytest.raises(AssertionError, match=r"-authors: .*born"):
        assert_models_match_migrations(make_database, sample_package.name, authors())


def test_a_missing_table_is_named(make_database, sample_package):
    with pytest.raises(AssertionError, match="-authors"):
        assert_models_match_migrations(make_database, sample_package.name, new_metadata())


def test_several_metadata_count_together(make_database, sample_package):
    more = new_metadata()
    Table("books", more, Column("id", UUIDBinary(), primary_key=True))
    with pytest.raises(AssertionError, match=r"\+books"):
        assert_models_match_migrations(make_database, sample_package.name, authors(), more)
