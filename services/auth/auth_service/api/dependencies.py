"""Where the handlers find what the application was made of."""

from flask import Flask, current_app

from auth_service.dependencies import Dependencies

_NAME = "auth_dependencies"


def install_dependencies(app: Flask, dependencies: Dependencies) -> None:
    """Give the handlers of an application their dependencies."""
    app.extensions[_NAME] = dependencies


def current_dependencies() -> Dependencies:
    """Return those of the application at hand."""
    dependencies: Dependencies = current_app.extensions[_NAME]
    return dependencies
