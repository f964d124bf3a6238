"""Defaults on a developer's machine: the services' SQLite files, and a short wait at Ctrl-C."""

DEFAULTS: dict[str, object] = {
    "service_name": "worker",
    "host": "127.0.0.1",
    "metrics_port": 9103,
    "broker_url": "redis://127.0.0.1:8003/0",
    "job_stores": "api=sqlite:///.local/data/api.db,auth=sqlite:///.local/data/auth.db",
    "run_dir": ".local/run",
    "worker_soft_shutdown_seconds": 3,
}
