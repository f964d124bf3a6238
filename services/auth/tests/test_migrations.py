"""The migrations lead to the tables the models describe, there and back."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from alembic import command
from alembic.config import Config
from auth_service.models import Base, Session, User
from common.db import Database, UTCDateTime, UUIDBinary, migrate, schema_is_current
from common.db.engine import make_engine
from common.db.revisions import migrations_folder
from common.ids import new_id
from common.testing.schemas import assert_migrations_go_on_where_they_stopped, assert_models_match_migrations
from common.testing.users import assert_every_table_is_declared
from jobs.models import Base as Jobs
from sqlalchemy import Column, LargeBinary, MetaData, SmallInteger, String, Table, insert, select, text


def test_migrations_and_models_describe_the_same_tables(make_database: Callable[..., Any]) -> None:
    assert_models_match_migrations(make_database, "auth_service", Base.metadata, Jobs.metadata)


def test_every_role_says_what_it_may_do_with_every_table() -> None:
    assert_every_table_is_declared("auth_service", Base.metadata, Jobs.metadata)


def test_an_empty_database_is_migrated_once(database_url_factory: Callable[..., str]) -> None:
    url = database_url_factory(None)
    assert migrate(url, "auth_service") == ["0001_users_and_sessions", "0002_derived_refresh_tokens", "0003_jobs"]
    assert migrate(url, "auth_service") == []


def test_a_migrated_database_is_ready_and_an_empty_one_is_not(make_database: Callable[..., Any]) -> None:
    assert schema_is_current(make_database("auth_service"), "auth_service")
    assert not schema_is_current(make_database(None), "auth_service")


USER, SESSION = new_id(), new_id()
MOMENT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def test_rows_of_the_release_before_stay_and_that_release_goes_on_writing(
    database_url_factory: Callable[..., str], make_database: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = database_url_factory(None)
    with monkeypatch.context() as patch:
        # The target of an upgrade is always the newest revision; here it is the one before.
        original = command.upgrade
        patch.setattr(command, "upgrade", lambda config, _target: original(config, "0001_users_and_sessions"))
        assert migrate(url, "auth_service") == ["0001_users_and_sessions"]
    database = Database(url)
    insert_as_before(database, USER, SESSION)
    assert migrate(url, "auth_service") == ["0002_derived_refresh_tokens", "0003_jobs"]
    other_user, other_session = new_id(), new_id()
    insert_as_before(database, other_user, other_session)
    with database.read() as session:
        users = session.execute(select(User.id, User.session_epoch).order_by(User.id)).all()
        sessions = session.execute(
            select(Session.id, Session.epoch, Session.generation, Session.salt, Session.refresh_token_hash)
        ).all()
    assert [tuple(row) for row in users] == [(USER, 0), (other_user, 0)]
    assert sorted(tuple(row) for row in sessions) == [
        (SESSION, 0, 0, None, b"h" * 32),
        (other_session, 0, 0, None, b"h" * 32),
    ]
    database.dispose()


def test_the_migration_can_be_taken_back_and_loses_only_what_it_brought(
    database_url_factory: Callable[..., str],
) -> None:
    url = database_url_factory("auth_service")
    database = Database(url)
    insert_as_before(database, USER, SESSION)
    with database.write() as session:
        row = session.scalars(select(Session)).one()
        derived = {column.name: getattr(row, column.name) for column in Session.__table__.columns}
        session.add(Session(**derived | {"id": new_id(), "salt": b"s" * 16, "refresh_token_hash": None}))
        session.commit()
    downgrade(url, "0001_users_and_sessions")
    with database.read() as session:
        assert session.scalars(text("SELECT COUNT(*) FROM sessions")).one() == 1
        assert session.scalars(text("SELECT COUNT(*) FROM users")).one() == 1
    assert migrate(url, "auth_service") == ["0002_derived_refresh_tokens", "0003_jobs"]
    database.dispose()


@pytest.mark.parametrize("database_backend", ["mysql"], indirect=True)
def test_migrations_go_on_where_they_stopped(
    database_url_factory: Callable[..., str], make_database: Callable[..., Any]
) -> None:
    """A statement may not get its table in time for the others."""
    assert_migrations_go_on_where_they_stopped(make_database, "auth_service", database_url_factory(None))


def downgrade(url: str, revision: str) -> None:
    engine = make_engine(url, pool_size=1)
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.connection.cursor().execute("PRAGMA foreign_keys = OFF")
        config = Config()
        config.set_main_option("script_location", str(migrations_folder("auth_service")))
        config.set_main_option("path_separator", "os")
        config.attributes.update(connection=connection, applied=[])
        command.downgrade(config, revision)
    engine.dispose()


def insert_as_before(database: Database, user_id: UUID, session_id: UUID) -> None:
    """Insert what the release before this one did, by the columns it knew."""
    users = Table("users", MetaData(), *(Column(name, kind) for name, kind in OLD_USERS.items()))
    sessions = Table("sessions", MetaData(), *(Column(name, kind) for name, kind in OLD_SESSIONS.items()))
    with database.write() as session:
        address = f"{user_id}@example.com"
        session.execute(
            insert(users).values(
                id=user_id,
                email=address,
                email_key=address,
                password_hash="x",
                password_scheme=1,
                password_changed_at=MOMENT,
                status="active",
                created_at=MOMENT,
                updated_at=MOMENT,
            )
        )
        session.execute(
            insert(sessions).values(
                id=session_id,
                user_id=user_id,
                client_id="redprint",
                audience="api",
                auth_time=MOMENT,
                refresh_token_hash=b"h" * 32,
                last_used_at=MOMENT,
                idle_expires_at=MOMENT,
                absolute_expires_at=MOMENT,
            )
        )
        session.commit()


OLD_USERS: dict[str, Any] = {
    "id": UUIDBinary,
    "email": String,
    "email_key": String,
    "password_hash": String,
    "password_scheme": SmallInteger,
    "password_changed_at": UTCDateTime,
    "status": String,
    "created_at": UTCDateTime,
    "updated_at": UTCDateTime,
}
OLD_SESSIONS: dict[str, Any] = {
    "id": UUIDBinary,
    "user_id": UUIDBinary,
    "client_id": String,
    "audience": String,
    "auth_time": UTCDateTime,
    "refresh_token_hash": LargeBinary,
    "last_used_at": UTCDateTime,
    "idle_expires_at": UTCDateTime,
    "absolute_expires_at": UTCDateTime,
}
