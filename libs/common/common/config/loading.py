"""Merges the sources and judges the result: base < APP_ENV's modules < environment < secret files."""

import os
import sys
from collections.abc import Mapping
from typing import TypeVar, get_args, get_origin

from pydantic import SecretStr, ValidationError

from common.config.base import DEPLOYED_ENVIRONMENTS, AppEnv, Settings
from common.config.problems import ConfigError, Problem
from common.config.sources import read_defaults, read_environment, read_secret_files

EXIT_CONFIG = 78  # EX_CONFIG of sysexits.h

S = TypeVar("S", bound=Settings)
_ENVIRONMENTS: tuple[str, ...] = get_args(AppEnv)


def load_settings(cls: type[S], env: Mapping[str, str] = os.environ) -> S:
    """Return the settings `env` makes. Raises ConfigError with every problem found, not only the first."""
    app_env, problems = _choose_environment(env)
    given, more = _read_given(cls, env)
    problems += more
    values = {**read_defaults(cls, app_env), **given, "app_env": app_env}
    if app_env in DEPLOYED_ENVIRONMENTS:
        problems += _find_development_values(cls, values)
    settings, invalid = _validate(cls, _without_missing(cls, values))
    problems += [problem for problem in invalid if problem.variable not in {known.variable for known in problems}]
    if settings is None or problems:
        raise ConfigError(problems)
    return settings


def load_settings_or_exit(cls: type[S], env: Mapping[str, str] = os.environ) -> S:
    """Return the settings, or print every problem to standard error and leave the process with status 78."""
    try:
        return load_settings(cls, env)
    except ConfigError as error:
        print(error, file=sys.stderr)  # noqa: T201 - logging is configured from settings, so it is not there yet
        raise SystemExit(EXIT_CONFIG) from None


def _choose_environment(env: Mapping[str, str]) -> tuple[str, list[Problem]]:
    """Without a valid APP_ENV the strictest one is assumed, so that the list of what is missing is complete."""
    chosen = env.get("APP_ENV", "")
    if chosen in _ENVIRONMENTS:
        return chosen, []
    fault = f"{chosen!r} is unknown" if chosen else "is not set"
    return "production", [Problem("APP_ENV", f"{fault}: choose one of {', '.join(_ENVIRONMENTS)}")]


def _read_given(cls: type[Settings], env: Mapping[str, str]) -> tuple[dict[str, object], list[Problem]]:
    from_environment = read_environment(cls, env)
    from_files, problems = read_secret_files(cls, env)
    problems += [
        Problem(name.upper(), "the environment and the file in SECRETS_DIR differ; set it in one place")
        for name in from_files
        if from_environment.get(name, from_files[name]) != from_files[name]
    ]
    given = {**from_environment, **from_files}
    return {name: _split_list(cls, name, text) for name, text in given.items()}, problems


def _split_list(cls: type[Settings], name: str, text: str) -> object:
    """A field that is a tuple is written as a comma-separated list."""
    if get_origin(cls.model_fields[name].annotation) is not tuple:
        return text
    return tuple(item.strip() for item in text.split(",") if item.strip())


def _find_development_values(cls: type[Settings], values: Mapping[str, object]) -> list[Problem]:
    development = read_defaults(cls, "development")
    guarded = {name for base in cls.__mro__ if issubclass(base, Settings) for name in base.development_only}
    return [
        Problem(name.upper(), "has its development default, which everybody knows; set your own")
        for name in sorted(guarded & values.keys() & development.keys())
        if str(values[name]) == str(development[name])
    ]


def _without_missing(cls: type[Settings], values: Mapping[str, object]) -> dict[str, object]:
    """An empty text is no value where one is required or none is the default.

    `SECRET=` in a compose file is a forgotten secret, `DB_TLS_CA=` is none.
    """
    return {name: value for name, value in values.items() if value != "" or not _needs_text(cls, name)}


def _needs_text(cls: type[Settings], name: str) -> bool:
    field = cls.model_fields[name]
    return field.is_required() or field.annotation is SecretStr or field.default is None


def _validate(cls: type[S], values: Mapping[str, object]) -> tuple[S | None, list[Problem]]:
    try:
        return cls.model_validate(values), []
    except ValidationError as error:
        return None, [_describe(str(fault["loc"][0]) if fault["loc"] else "", fault) for fault in error.errors()]


def _describe(name: str, fault: Mapping[str, object]) -> Problem:
    if fault["type"] == "missing":
        return Problem(name.upper(), "is not set")
    return Problem(name.upper(), str(fault["msg"]).removeprefix("Value error, "))
