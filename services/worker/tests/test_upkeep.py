"""What the dispatcher deletes beside jobs, with the rights it has once deployed."""

import threading
from collections.abc import Callable
from datetime import timedelta

from common.clock import utc_now
from common.config import load_settings
from common.db import Database
from common.idempotency import KEPT, KeyUse, take_key
from common.idempotency.table import idempotency_keys
from common.ids import new_id
from common.testing.databases import Schema
from prometheus_client import REGISTRY
from sqlalchemy import select
from worker_service.config import DispatcherSettings
from worker_service.dispatcher import make_dispatchers


def test_old_idempotency_keys_of_the_api_are_deleted(
    make_database: Callable[[Schema], Database], as_role: Callable[[str, str, str], str]
) -> None:
    database = make_database("api_service")
    url = database.url.set(drivername=database.dialect_name).render_as_string(hide_password=False)
    for age in (KEPT, KEPT - timedelta(minutes=5)):
        with database.write() as session:
            take_key(session, KeyUse(new_id(), "POST /", f"{age.total_seconds()}", b"h" * 32), now=utc_now() - age)
            session.commit()
    env = {"APP_ENV": "testing", "JOB_STORES": f"api={as_role(url, 'api_service', 'worker')}"}
    [dispatcher] = make_dispatchers(
        load_settings(DispatcherSettings, {**env, "BROKER_URL": "redis://127.0.0.1:1/0"}), threading.Event()
    )
    before = deleted()
    dispatcher.run_round()
    assert deleted() - before == 1
    with database.read() as session:
        [key] = session.scalars(select(idempotency_keys.c.key))
    assert key == f"{(KEPT - timedelta(minutes=5)).total_seconds()}"


def deleted() -> float:
    labels = {"store": "api", "duty": "idempotency-keys"}
    return REGISTRY.get_sample_value("upkeep_deleted_total", labels) or 0.0
