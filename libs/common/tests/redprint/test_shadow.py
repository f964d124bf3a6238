"""A decorator above a route never runs: the route has kept what was below it."""

import importlib
from pathlib import Path

import pytest
from common.redprint import Redprint, RedprintError
from flask import Blueprint

HEAD = """
import functools
from flask.views import MethodView
from common.access import public
from common.redprint import Redprint

items = Redprint("items")

def wrapping(function):
    @functools.wraps(function)
    def inner(*args, **kwargs):
        return function(*args, **kwargs)
    return inner

def plain(function):
    return lambda *args, **kwargs: function(*args, **kwargs)

"""


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest):  # type: ignore[no-untyped-def]
    def load_module(code: str) -> Redprint:
        name = f"shadow_{abs(hash(request.node.nodeid))}"
        (tmp_path / f"{name}.py").write_text(HEAD + code)
        monkeypatch.syspath_prepend(str(tmp_path))
        redprint: Redprint = importlib.import_module(name).items
        return redprint

    return load_module


REFUSED = {
    "with functools.wraps": "@wrapping\n@items.get('', access=public)\ndef list_items(): pass\n",
    "without": "@plain\n@items.get('', access=public)\ndef list_items(): pass\n",
    "of the library": "@functools.lru_cache\n@items.get('', access=public)\ndef list_items(): pass\n",
    "on a class": "@plain\n@items.route('', access=public)\nclass list_items(MethodView):\n    def get(self): pass\n",
    "by another object of its name": "@items.get('', access=public)\ndef list_items(): pass\nlist_items = print\n",
}


@pytest.mark.parametrize("code", REFUSED.values(), ids=REFUSED.keys())
def test_a_decorator_above_a_route_stops_the_start(load, code: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(RedprintError, match=r"shadow_\d+\.py:\d+: requests reach list_items itself.* write it below"):
        load(code).register(Blueprint("v1", __name__))


def test_the_error_names_the_wrapper_and_where_it_is(load) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(RedprintError, match=r"the wrapper wrapping\.<locals>\.inner \(.*shadow_\d+\.py:\d+\)"):
        load(REFUSED["with functools.wraps"]).register(Blueprint("v1", __name__))


ACCEPTED = {
    "a decorator below": "@items.get('', access=public)\n@wrapping\ndef list_items(): pass\n",
    "a nameless decorator below": "@items.get('', access=public, endpoint='a')\n@plain\ndef list_items(): pass\n",
    "two routes above one handler": (
        "@items.get('/a', access=public, endpoint='a')\n@items.get('/b', access=public)\ndef list_items(): pass\n"
    ),
    "a later handler of the same name": (
        "@items.get('/a', access=public, endpoint='a')\ndef show(): pass\n"
        "@items.get('/b', access=public, endpoint='b')\ndef show(): pass\n"
    ),
    "a name that was deleted": "@items.get('', access=public)\ndef list_items(): pass\ndel list_items\n",
}


@pytest.mark.parametrize("code", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_what_a_request_reaches_is_accepted(load, code: str) -> None:  # type: ignore[no-untyped-def]
    load(code).register(Blueprint("v1", __name__))
