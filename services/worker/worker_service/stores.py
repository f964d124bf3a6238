"""The job stores the settings name."""

from common.db import Database
from jobs.stores import Stores

from worker_service.config import JobSettings


def open_stores(settings: JobSettings) -> Stores:
    """Return the stores; each opens its database when it is first used."""
    pool, tls = settings.db_pool_size, settings.db_tls_ca
    return Stores(settings.store_urls, lambda url: Database(url, pool_size=pool, tls_ca=tls))
