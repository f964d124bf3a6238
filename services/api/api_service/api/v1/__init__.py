"""Version 1: its resources, readable as a table of contents."""

from flask import Blueprint

from api_service.api.v1.admin_jobs import admin_jobs
from api_service.api.v1.contacts import contacts
from api_service.api.v1.exports import exports
from api_service.api.v1.imports import imports
from api_service.api.v1.jobs import jobs

RESOURCES = (contacts, imports, exports, jobs, admin_jobs)


def make_blueprint() -> Blueprint:
    """Return a Blueprint with every resource of this version, for one application."""
    blueprint = Blueprint("v1", __name__, url_prefix="/api/v1")
    for resource in RESOURCES:
        resource.register(blueprint)
    return blueprint
