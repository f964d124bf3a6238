"""Puts the api service together; the only place where its parts meet. Importing it opens nothing."""

from common.config import load_settings_or_exit
from common.db import Database, schema_is_current
from common.jwt import JWKSCache, KeySource, TokenVerifier
from common.revocation import Revocations, RevokedSessions
from common.web import app as web
from common.web.lifecycle import on_worker_start, on_worker_stop
from flask import Flask

from api_service import job_store, long_answers
from api_service.api import v1
from api_service.config import APISettings
from api_service.errors import PROBLEMS
from api_service.lingering import LingeringMiddleware

AUDIENCES = frozenset({"api"})


def create_app(
    settings: APISettings | None = None, *, keys: KeySource | None = None, revocations: Revocations | None = None
) -> Flask:
    """Return the application.

    Without settings the environment makes them; without `keys` they come from AUTH_JWKS_URL, and without `revocations`
    those come from STATE_URL. Exits with status 78 where the environment makes no valid settings.
    """
    settings = settings or load_settings_or_exit(APISettings)
    database = Database(
        settings.database_url.get_secret_value(), pool_size=settings.db_pool_size, tls_ca=settings.db_tls_ca
    )
    checks = {"database": lambda: schema_is_current(database, "api_service")}
    if keys is None:
        keys = cache = JWKSCache(settings.auth_jwks_url, bundled=_read_bundled_keys(settings))
        # Ready before the first keys are here, it would answer 401 to good tokens.
        checks["keys"] = lambda: cache.is_loaded
    if revocations is None:
        revocations = RevokedSessions(settings.state_address)
    app = web.create_app(
        __name__,
        settings,
        blueprints=[v1.make_blueprint()],
        problems=PROBLEMS,
        verifier=TokenVerifier(keys, settings.auth_issuer, AUDIENCES, is_revoked=revocations.is_revoked),
        revocations=revocations,
        database=database,
        checks=checks,
    )
    app.extensions[job_store.EXTENSION] = job_store.JobStore.of(settings)
    app.extensions[long_answers.EXTENSION] = long_answers.LongAnswers(settings.web_threads)
    app.wsgi_app = LingeringMiddleware(app.wsgi_app, max_bytes=2 * settings.import_max_bytes)  # type: ignore[method-assign] # Flask documents it so
    on_worker_start(app, database.warm)
    on_worker_stop(app, database.dispose)
    if isinstance(keys, JWKSCache):
        on_worker_start(app, keys.warm)
        on_worker_stop(app, keys.close)
    if isinstance(revocations, RevokedSessions):
        if isinstance(keys, JWKSCache):
            revocations.on_keys_changed(keys.refresh_soon)
        on_worker_start(app, revocations.start)
        on_worker_stop(app, revocations.stop)
    return app


def _read_bundled_keys(settings: APISettings) -> bytes | None:
    return None if settings.auth_jwks_file is None else settings.auth_jwks_file.read_bytes()
