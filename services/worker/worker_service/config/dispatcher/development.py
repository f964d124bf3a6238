"""Defaults on a developer's machine: a port beside the worker's."""

DEFAULTS: dict[str, object] = {"service_name": "dispatcher", "metrics_port": 9104}
