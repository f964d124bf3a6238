"""Defaults on a developer's machine: files below .local/, and the auth service beside this one."""

DEFAULTS: dict[str, object] = {
    "service_name": "api",
    "port": 8002,
    "metrics_port": 9102,
    "database_url": "sqlite:///.local/data/api.db",
    "auth_jwks_url": "http://127.0.0.1:8001/.well-known/jwks.json",
}
