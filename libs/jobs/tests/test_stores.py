"""Reading the list of job stores, and opening them."""

import pytest
from common.db import Database
from jobs.errors import UnknownStore
from jobs.stores import Stores, parse_stores

URL = "mysql+pymysql://worker:secret@db/api?charset=utf8mb4"


def test_stores_are_listed_as_name_and_url() -> None:
    assert parse_stores(f"api={URL}, auth=sqlite:///auth.db") == {"api": URL, "auth": "sqlite:///auth.db"}


@pytest.mark.parametrize("text", ["", "api", "api=", f"={URL}", f"Api={URL}", f"api={URL},", "a b=sqlite:///x.db"])
def test_an_entry_of_another_form_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"entry \d has to read name=url") as refusal:
        parse_stores(text)
    assert "secret" not in str(refusal.value)


def test_a_store_listed_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="the store api is listed twice"):
        parse_stores(f"api={URL},api={URL}")


def test_a_store_is_opened_when_it_is_first_used_and_then_kept() -> None:
    opened: list[str] = []

    def connect(url: str) -> Database:
        opened.append(url)
        return Database(url)

    stores = Stores({"api": "sqlite:///x.db", "auth": "sqlite:///y.db"}, connect)
    assert (list(stores), opened) == (["api", "auth"], [])
    assert stores.database("api") is stores.database("api")
    assert opened == ["sqlite:///x.db"]


def test_a_store_that_is_not_configured_is_named() -> None:
    with pytest.raises(UnknownStore, match="no job store named 'mail'"):
        Stores({"api": "sqlite:///x.db"}).database("mail")
