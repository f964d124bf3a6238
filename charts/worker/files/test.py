"""What `helm test worker` runs inside the cluster: tries settings, stores and broker in a pod like the worker's.

There is nothing to call, so it tries what the worker needs: valid settings with all their secrets, rights on the job
table of each store, and a broker that lets this user in. That jobs get done is what `helm test api` shows.
"""

# ruff: noqa: T201 - what it prints is its report, which Helm shows

from celery import Celery
from common.config import load_settings_or_exit
from jobs.broker import publisher_settings
from sqlalchemy import text
from worker_service.config import DispatcherSettings
from worker_service.stores import open_stores


def main() -> None:
    settings = load_settings_or_exit(DispatcherSettings)
    print(f"ok     settings of {settings.app_env}", flush=True)
    stores = open_stores(settings)
    for name in settings.store_urls:
        with stores.database(name).engine.connect() as connection:
            waiting = connection.execute(text("SELECT count(*) FROM jobs WHERE state = 'queued'")).scalar_one()
        print(f"ok     store {name}: {waiting} jobs queued", flush=True)
    app = Celery("helm_test")
    app.conf.update(publisher_settings(settings.broker_url.get_secret_value()))
    with app.connection_for_write() as broker:
        broker.ensure_connection(max_retries=3, interval_start=1)
        print("ok     broker", flush=True)


if __name__ == "__main__":
    main()
