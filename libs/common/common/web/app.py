"""Puts a service's application together: the parts every service has, in the one order that works."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from flask import Blueprint, Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from common.config import WebSettings
from common.health import Check, NotReady, install_health
from common.logging import configure_logging
from common.metrics import install_metrics
from common.problems import COMMON_PROBLEMS, Problem, install_problems
from common.redprint import check_routes
from common.revocation import Revocations
from common.web.context import ServiceRequest
from common.web.guard import Verifier, install_guard
from common.web.middleware import RequestMiddleware
from common.web.outages import install_outages
from common.web.sessions import install_sessions

if TYPE_CHECKING:
    from common.db.database import Database

F = TypeVar("F", bound=Callable[..., Any])

_OWN_PROBLEMS: Mapping[type[Exception], Problem] = {NotReady: Problem(503, "not-ready", "Not ready")}


class ServiceFlask(Flask):
    """Flask with our request, and without asking each hook and view at each call whether it is a coroutine.

    None is: a Redprint refuses them. The question costs a fifth of what Flask does for a request.
    """

    request_class = ServiceRequest

    def ensure_sync(self, func: F) -> F:
        """Return the function."""
        return func


def create_app(
    import_name: str,
    settings: WebSettings,
    *,
    blueprints: Iterable[Blueprint],
    problems: Mapping[type[Exception], Problem],
    verifier: Verifier | None = None,
    revocations: Revocations | None = None,
    database: "Database | None" = None,
    checks: Mapping[str, Check] | None = None,
) -> Flask:
    """Return the application of a service, ready to serve. Opens nothing.

    `problems` maps the service's exceptions, `verifier` checks bearer tokens, `checks` say whether it can serve.
    `revocations` says whether revoked sessions are known; without it a route marked strict answers 503.
    Raises RedprintError for a route that declares no access.
    """
    configure_logging(settings)
    app = ServiceFlask(import_name, static_folder=None, template_folder=None)
    app.extensions["settings"] = settings
    app.config["MAX_CONTENT_LENGTH"] = settings.body_limit_bytes
    app.config["PROPAGATE_EXCEPTIONS"] = False  # tests see the same 500 as clients
    _wrap(app, settings.trusted_proxies)
    install_metrics(app)
    install_guard(app, verifier, revocations)
    install_problems(app, {**COMMON_PROBLEMS, **_OWN_PROBLEMS, **problems})
    if database is not None:
        install_sessions(app, database)
        install_outages(app)
    install_health(app, settings, checks or {})
    for blueprint in blueprints:
        app.register_blueprint(blueprint)
    check_routes(app)
    return app


def _wrap(app: Flask, proxies: int) -> None:
    """Put the middleware around the application; the proxies' headers are believed before anything is logged."""
    wrapped = RequestMiddleware(app.wsgi_app)
    # Flask documents the assignment; mypy sees a method.
    app.wsgi_app = ProxyFix(wrapped, proxies, proxies, x_host=proxies) if proxies else wrapped  # type: ignore[method-assign]
