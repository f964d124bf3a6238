"""Defaults on a developer's machine: files below .local/, and accounts that work without a mail."""

DEFAULTS: dict[str, object] = {
    "service_name": "auth",
    "port": 8001,
    "metrics_port": 9101,
    "database_url": "sqlite:///.local/data/auth.db",
    "auth_keys_dir": ".local/keys",
    "email_verification_required": False,
}
