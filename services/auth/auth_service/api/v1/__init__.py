"""Version 1, readable as a table of contents."""

from flask import Blueprint

from auth_service.api.v1.admin_jobs import admin_jobs
from auth_service.api.v1.auth import auth
from auth_service.api.v1.sessions import sessions
from auth_service.api.v1.users import users

REDPRINTS = (auth, sessions, users, admin_jobs)


def make_blueprint() -> Blueprint:
    """Return a Blueprint with all routes of this version."""
    blueprint = Blueprint("v1", __name__, url_prefix="/api/v1")
    for redprint in REDPRINTS:
        redprint.register(blueprint)
    return blueprint
