"""The one place where the auth service is put together. Importing it opens nothing."""

from datetime import timedelta

from common.clock import Clock, utc_now
from common.config import load_settings_or_exit
from common.db import Database, schema_is_current
from common.jwt import TokenIssuer, TokenVerifier
from common.revocation import RevocationPublisher, RevokedSessions
from common.web.app import create_app as create_web_app
from common.web.lifecycle import on_worker_start, on_worker_stop
from flask import Flask

from auth_service.api import oauth, v1, well_known
from auth_service.api.dependencies import install_dependencies
from auth_service.audit import AuditTrail
from auth_service.config import AuthSettings
from auth_service.dependencies import Dependencies, Publisher
from auth_service.errors import PROBLEMS
from auth_service.hashing import BoundedHasher, share_threads
from auth_service.keys import KeyDirectory
from auth_service.revocations import Reconciler
from auth_service.scopes import AUDIENCES


def create_app(
    settings: AuthSettings | None = None,
    clock: Clock = utc_now,
    *,
    publisher: Publisher | None = None,
    revocations: RevokedSessions | None = None,
) -> Flask:
    """Return the application; without settings they are read from the environment (exit 78 if they are wrong).

    Without `revocations` this process hears of them from STATE_URL, and without `publisher` it tells them there.
    """
    settings = settings or load_settings_or_exit(AuthSettings)
    keys = KeyDirectory(settings.auth_keys_dir, clock)
    database = Database(
        settings.database_url.get_secret_value(), pool_size=settings.db_pool_size, tls_ca=settings.db_tls_ca
    )
    revocations = revocations or RevokedSessions(settings.state_address, clock=clock)
    stream = RevocationPublisher(settings.state_address, tell_own_process=revocations.add, clock=clock)
    reconciler = Reconciler(database, revocations, stream, clock)
    verifier = TokenVerifier(keys, settings.auth_issuer, AUDIENCES, clock, is_revoked=revocations.is_revoked)
    app = create_web_app(
        __name__,
        settings,
        blueprints=[v1.make_blueprint(), oauth.make_blueprint(), well_known.make_blueprint()],
        problems=PROBLEMS,
        verifier=verifier,
        revocations=revocations,
        database=database,
        checks={"database": lambda: schema_is_current(database, "auth_service")},
    )
    dependencies = _make_dependencies(
        settings,
        clock,
        database=database,
        keys=keys,
        verifier=verifier,
        publisher=publisher or stream,
    )
    install_dependencies(app, dependencies)
    well_known.publish(app, settings.auth_issuer, keys)
    keys.on_change(stream.keys_changed)
    on_worker_start(app, keys.start)
    on_worker_stop(app, keys.stop)
    on_worker_start(app, revocations.start)
    on_worker_start(app, reconciler.start)
    on_worker_stop(app, reconciler.stop)
    on_worker_stop(app, revocations.stop)
    on_worker_stop(app, stream.close)
    on_worker_start(app, database.warm)
    on_worker_stop(app, database.dispose)
    return app


def _make_dependencies(
    settings: AuthSettings,
    clock: Clock,
    *,
    database: Database,
    keys: KeyDirectory,
    verifier: TokenVerifier,
    publisher: Publisher,
) -> Dependencies:
    slots, max_waiting = share_threads(settings.web_threads, settings.password_hash_slots)
    return Dependencies(
        database=database,
        hasher=BoundedHasher(
            memory_kib=settings.password_hash_memory_kib,
            iterations=settings.password_hash_iterations,
            slots=slots,
            max_waiting=max_waiting,
        ),
        token_issuer=TokenIssuer(keys, settings.auth_issuer, settings.access_token_ttl_seconds, clock),
        token_verifier=verifier,
        refresh_keys=keys,
        publisher=publisher,
        audit=AuditTrail(settings.service_name, settings.release, clock),
        clock=clock,
        refresh_idle_ttl=timedelta(seconds=settings.refresh_idle_ttl_seconds),
        refresh_absolute_ttl=timedelta(seconds=settings.refresh_absolute_ttl_seconds),
        refresh_grace=timedelta(seconds=settings.refresh_grace_seconds),
        email_verification_required=settings.email_verification_required,
    )
