"""What the users of a database may do with its tables: declared by the package, granted by the migration.

A package declares it in `<package>/migrations/grants.py`, for each of its roles and every one of its tables:

    GRANTS: Grants = {"app": {"alembic_version": {"SELECT"}, "notes": {"SELECT", "INSERT", "UPDATE"}}}

A table without an entry is granted to nobody: who adds one decides who may touch it, and a test of the package
(`common.testing.grants`) fails until that is done. Only tables count here; a user that holds privileges on the whole
schema keeps them, because the migration's user cannot see those.
"""

import importlib
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Literal, get_args

from sqlalchemy import Connection, inspect

from common.db.revisions import migrations_folder

Privilege = Literal["SELECT", "INSERT", "UPDATE", "DELETE"]
Tables = Mapping[str, Set[Privilege]]
Grants = Mapping[str, Tables]

_ALL: tuple[Privilege, ...] = get_args(Privilege)


class GrantError(ValueError):
    """What was asked to be granted is not declared, or cannot be granted here."""


@dataclass(frozen=True)
class Account:
    """A user of the MySQL server."""

    user: str
    host: str = "%"

    def __str__(self) -> str:
        return self.user if self.host == "%" else f"{self.user}@{self.host}"

    @classmethod
    def parse(cls, text: str) -> "Account":
        """The account `user` or `user@host` names. Raises GrantError."""
        user, mark, host = text.partition("@")
        if not user or (mark and not host):
            raise GrantError(f"{text!r} names no user; expected USER or USER@HOST")
        return cls(user, host or "%")


@dataclass(frozen=True)
class RoleGrant:
    """One role of a package, for one account."""

    role: str
    account: Account
    tables: Tables


def plan_grants(package: str, accounts: Mapping[str, Account], dialect_name: str) -> list[RoleGrant]:
    """Look up what the package declares for each role. Raises GrantError, before anything is done to the database."""
    if not accounts:
        return []
    if dialect_name != "mysql":
        raise GrantError(f"{dialect_name} has no users to grant anything to")
    declared = read_grants(package)
    unknown = sorted(accounts.keys() - declared.keys())
    if unknown:
        raise GrantError(f"{package} declares no role {', '.join(unknown)}; it has {', '.join(sorted(declared))}")
    return [RoleGrant(role, account, declared[role]) for role, account in accounts.items()]


def read_grants(package: str) -> Grants:
    """What the package declares. Raises GrantError where it declares nothing, and MigrationsNotFoundError."""
    if not (migrations_folder(package) / "grants.py").is_file():
        raise GrantError(f"{package} declares no roles: it has no migrations/grants.py")
    grants: Grants = importlib.import_module(f"{package}.migrations.grants").GRANTS
    return grants


def apply_grants(connection: Connection, plan: list[RoleGrant], *, is_newer: bool) -> None:
    """Give each account exactly the declared privileges on the declared tables.

    First what is missing is granted, then what is not declared revoked: a privilege that stays is never gone for a
    moment, because other processes work with the tables meanwhile. For the same reason a privilege is taken out of
    the declaration one release after the last code that needs it.

    Where the database `is_newer` than this code (after a rollback), its tables are another release's: what this code
    needs is granted where the table is still there, and nothing is revoked.
    Raises GrantError, before anything is granted, for a declared table that does not exist.
    """
    if not plan:
        return
    existing = set(inspect(connection).get_table_names())
    missing = sorted({table for each in plan for table in each.tables} - existing)
    if missing and not is_newer:
        raise GrantError(f"migrations/grants.py declares tables that do not exist: {', '.join(missing)}")
    for each in plan:
        for table in each.tables.keys() & existing:
            _change(connection, "GRANT {privileges} ON {table} TO %s@%s", each, table, each.tables[table])
        for table in each.tables if not is_newer else ():
            undeclared = set(_ALL) - each.tables[table]
            _change(connection, "REVOKE IF EXISTS {privileges} ON {table} FROM %s@%s", each, table, undeclared)


def _change(connection: Connection, statement: str, grant: RoleGrant, table: str, privileges: Set[str]) -> None:
    if privileges:
        quote = connection.dialect.identifier_preparer.quote_identifier
        place = f"{quote(connection.engine.url.database or '')}.{quote(table)}"
        named = statement.format(privileges=", ".join(sorted(privileges)), table=place)
        connection.exec_driver_sql(named, (grant.account.user, grant.account.host))
