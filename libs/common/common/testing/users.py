"""Users of the test server with the privileges they have once deployed, and a check of what a package declares."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from uuid import uuid4

from pymysql.cursors import Cursor
from sqlalchemy import MetaData, make_url

from common.db.engine import make_engine
from common.db.grants import Account, apply_grants, plan_grants, read_grants

# What the user that migrates a schema has on it, and passes on to the services' users.
MIGRATING = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES, LOCK TABLES"
_PREFIX = "redprint_test"


def assert_every_table_is_declared(package: str, *metadata: MetaData) -> None:
    """Each role of the package says of every table of the models, and of alembic_version, what it may do."""
    tables = {"alembic_version"}.union(*(each.tables.keys() for each in metadata))
    for role, declared in read_grants(package).items():
        if declared.keys() != tables:
            difference = ", ".join(sorted(declared.keys() ^ tables))
            raise AssertionError(f"{package}: role {role} and the models differ about {difference}")


class DatabaseUsers:
    """Makes users named so that those of killed runs are found; a new user may connect and nothing else."""

    def __init__(self, cursor: Callable[[], AbstractContextManager[Cursor]]) -> None:
        self._cursor = cursor
        self._made: list[str] = []

    def new(self, url: str) -> str:
        """The URL with a new user and its password."""
        name, password = f"{_PREFIX}_{int(time.time())}_{uuid4().hex[:6]}", uuid4().hex
        with self._cursor() as cursor:
            cursor.execute("CREATE USER %s@'%%' IDENTIFIED BY %s", (name, password))
        self._made.append(name)
        return make_url(url).set(username=name, password=password).render_as_string(hide_password=False)

    def migrating(self, url: str) -> str:
        """The URL with a new user that may migrate the database and grant, as the migration's user is once deployed."""
        own = self.new(url)
        schema = (make_url(url).database or "").replace("_", r"\_")
        with self._cursor() as cursor:
            cursor.execute(f"GRANT {MIGRATING} ON `{schema}`.* TO %s@'%%' WITH GRANT OPTION", (make_url(own).username,))
        return own

    def as_role(self, url: str, package: str, role: str) -> str:
        """The URL with a new user that has what the package grants to the role."""
        own = self.new(url)
        engine = make_engine(url, pool_size=1)
        with engine.connect() as connection:
            plan = plan_grants(package, {role: Account(make_url(own).username or "")}, "mysql")
            apply_grants(connection, plan, is_newer=False)
        engine.dispose()
        return own

    def drop_all(self) -> None:
        """Drop the users made here."""
        with self._cursor() as cursor:
            for name in self._made:
                cursor.execute("DROP USER IF EXISTS %s@'%%'", (name,))

    def drop_leftovers(self, age_seconds: int) -> None:
        """Drop users of runs that were killed at least that long ago."""
        with self._cursor() as cursor:
            cursor.execute("SELECT user FROM mysql.user WHERE user LIKE %s", (f"{_PREFIX}%",))
            for (name,) in cursor.fetchall():
                made_at = name.removeprefix(f"{_PREFIX}_").split("_")[0]
                if made_at.isdigit() and int(made_at) < time.time() - age_seconds:
                    cursor.execute("DROP USER IF EXISTS %s@'%%'", (name,))
