"""Redprint: the routes of one resource, below a versioned Blueprint, each with its rules beside its handler."""

from common.redprint.errors import RedprintError
from common.redprint.redprint import Redprint
from common.redprint.registry import RouteEntry, check_routes, registered_routes
from common.redprint.route import Deprecation, Route

__all__ = [
    "Deprecation",
    "Redprint",
    "RedprintError",
    "Route",
    "RouteEntry",
    "check_routes",
    "registered_routes",
]
