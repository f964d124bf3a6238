"""The one reader of the environment: frozen, typed settings, chosen when called and never at import."""

from common.config.base import DatabaseSettings, Settings, StateSettings, WebSettings
from common.config.loading import EXIT_CONFIG, load_settings, load_settings_or_exit
from common.config.problems import ConfigError, Problem
from common.config.secret_files import PasswordFileError, insert_password

__all__ = [
    "EXIT_CONFIG",
    "ConfigError",
    "DatabaseSettings",
    "PasswordFileError",
    "Problem",
    "Settings",
    "StateSettings",
    "WebSettings",
    "insert_password",
    "load_settings",
    "load_settings_or_exit",
]
