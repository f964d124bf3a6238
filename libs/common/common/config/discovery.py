"""Finds the settings of the service a server was started for."""

import importlib
import re
from collections.abc import Iterable
from typing import TypeGuard

from common.config.base import WebSettings

_WSGI = re.compile(r"(?P<package>\w+)\.wsgi(?::\w+)?")


def find_settings_class(arguments: Iterable[str]) -> type[WebSettings]:
    """Return the class of settings that `auth_service.config` exports, given `auth_service.wsgi:app` in a command line.

    A command line without such an argument has the settings every web service shares. Raises TypeError for a
    service that exports none, or more than one.
    """
    named = next((match["package"] for match in map(_WSGI.fullmatch, arguments) if match), None)
    if named is None:
        return WebSettings
    module = importlib.import_module(f"{named}.config")
    found = [member for member in vars(module).values() if _is_settings_of(member, named)]
    if len(found) != 1:
        raise TypeError(f"{named}.config has to export one class of WebSettings; it exports {len(found)}")
    return found[0]


def _is_settings_of(member: object, package: str) -> TypeGuard[type[WebSettings]]:
    return (
        isinstance(member, type) and issubclass(member, WebSettings) and member.__module__.partition(".")[0] == package
    )
