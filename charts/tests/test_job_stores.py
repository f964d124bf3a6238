"""The job stores the worker serves: mysql has users for them, services migrate them, and the broker lets them in."""

import pytest
import yaml
from checking.charts import SOURCES


def values(chart):
    return yaml.safe_load((SOURCES / chart / "values.yaml").read_text())


STORES = values("worker")["database"]["stores"]


@pytest.mark.parametrize("store", STORES)
def test_each_store_has_a_user_of_its_own_on_the_server(store):
    chosen = STORES[store]
    user = values("mysql")["users"][chosen["user"]]
    assert (user["role"], user["database"]) == ("app", chosen["name"])
    assert user["existingSecret"] == chosen["existingSecret"]


@pytest.mark.parametrize("store", STORES)
def test_the_service_of_the_store_grants_that_user_its_rights(store):
    database = values(store)["database"]
    assert (database["workerUser"], database["name"]) == (STORES[store]["user"], STORES[store]["name"])


def test_the_brokers_account_may_use_the_queues_of_all_stores():
    assert set(values("valkey")["broker"]["stores"]) == set(STORES)


def test_the_server_has_connections_for_all_users_at_their_limits():
    config, users = values("mysql")["config"], values("mysql")["users"]
    assert sum(user["maxUserConnections"] for user in users.values()) < config["maxConnections"]
