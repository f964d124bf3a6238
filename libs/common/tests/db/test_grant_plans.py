"""What can be said about grants without a server."""

import pytest
from common.db import migrate
from common.db.grants import Account, GrantError
from common.testing.users import assert_every_table_is_declared
from sqlalchemy import Column, Integer, MetaData, Table


def test_a_table_of_the_models_without_an_entry_is_named(sample_package):
    metadata = MetaData()
    for name in ("authors", "books"):
        Table(name, metadata, Column("id", Integer, primary_key=True))
    sample_package.write("migrations/grants.py", 'GRANTS = {"app": {"alembic_version": {"SELECT"}, "authors": set()}}')
    with pytest.raises(AssertionError, match="role app and the models differ about books"):
        assert_every_table_is_declared(sample_package.name, metadata)
    metadata.remove(metadata.tables["books"])
    assert_every_table_is_declared(sample_package.name, metadata)


def test_accounts_are_written_as_users_with_a_host_or_without():
    assert (Account.parse("app"), Account.parse("app@10.%")) == (Account("app", "%"), Account("app", "10.%"))
    assert [str(Account("app")), str(Account("app", "10.%"))] == ["app", "app@10.%"]


def test_sqlite_has_no_users(tmp_path, sample_package):
    sample_package.write("migrations/grants.py", 'GRANTS = {"app": {}}')
    with pytest.raises(GrantError, match="sqlite has no users"):
        migrate(f"sqlite:///{tmp_path}/a.db", sample_package.name, grants={"app": Account("app")})
    assert list(tmp_path.glob("a.db")) == []
