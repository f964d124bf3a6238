"""Where values come from: modules of defaults, the environment, mounted secret files. Nothing is judged here."""

import importlib
import os
from collections.abc import Mapping
from pathlib import Path

from common.config.base import Settings
from common.config.problems import Problem
from common.config.secret_files import read_secret


def read_defaults(cls: type[Settings], app_env: str) -> dict[str, object]:
    """Return the defaults of one environment for the fields of `cls`, base classes first.

    Each class brings the module beside the `base` module it is defined in. Raises TypeError for a default
    no class of that `base` module has a field for.
    """
    merged: dict[str, object] = {}
    for package in _config_packages(cls):
        defaults: dict[str, object] = importlib.import_module(f"{package}.{app_env}").DEFAULTS
        _refuse_unknown(defaults, package, app_env)
        merged.update((name, value) for name, value in defaults.items() if name in cls.model_fields)
    return merged


def read_environment(cls: type[Settings], env: Mapping[str, str]) -> dict[str, str]:
    """Return the fields of `cls` that the environment sets."""
    return {name: env[name.upper()] for name in cls.model_fields if name.upper() in env}


def read_secret_files(cls: type[Settings], env: Mapping[str, str]) -> tuple[dict[str, str], list[Problem]]:
    """Return the fields of `cls` that a file in SECRETS_DIR sets, one file a variable, and what cannot be read."""
    directory = env.get("SECRETS_DIR")
    if not directory:
        return {}, []
    if not os.path.isdir(directory):  # Path.is_dir() raises where a parent cannot be entered
        return {}, [Problem("SECRETS_DIR", f"{directory} is not a directory that can be read")]
    values: dict[str, str] = {}
    problems: list[Problem] = []
    for name in cls.model_fields:
        path = Path(directory, name.upper())
        try:
            values[name] = read_secret(path)
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            problems.append(Problem(name.upper(), f"{path} cannot be read: {type(error).__name__}"))
    return values, problems


def _config_packages(cls: type[Settings]) -> list[str]:
    modules = [base.__module__ for base in reversed(cls.__mro__) if issubclass(base, Settings)]
    packages = [module.removesuffix(".base") for module in modules if module.endswith(".base")]
    return list(dict.fromkeys(packages))


def _refuse_unknown(defaults: Mapping[str, object], package: str, app_env: str) -> None:
    members = vars(importlib.import_module(f"{package}.base")).values()
    shapes = [member for member in members if isinstance(member, type) and issubclass(member, Settings)]
    unknown = sorted(set(defaults) - {name for shape in shapes for name in shape.model_fields})
    if unknown:
        raise TypeError(f"{package}.{app_env} sets {', '.join(unknown)}, which no class in {package}.base has")
