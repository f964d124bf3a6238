from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from common.access import public, require
from common.redprint import Deprecation, Redprint, RedprintError, check_routes, registered_routes
from common.web.shapes import Shape, View
from flask import Blueprint, Flask
from flask.views import MethodView

MakeApp = Callable[..., Flask]


class ItemIn(Shape):
    name: str


class ItemOut(View):
    name: str


def make_items() -> Redprint:
    items = Redprint("items", tags=["stock"])

    @items.post("/<int:shelf>", access=require("stock:write"), body=ItemIn, response=ItemOut, status=201)
    def add_item(shelf: int, body: ItemIn) -> ItemOut:
        """Add an item to a shelf.

        More than a line about it.
        """
        return ItemOut(name=f"{body.name} on {shelf}")

    @items.get("", access=public, tags=["old"], deprecated=True, endpoint="all", summary="All of them")
    def list_items() -> None:
        pass

    return items


def test_the_registry_holds_what_each_route_declares(make_app: MakeApp) -> None:
    add, listing = [entry for entry in registered_routes(make_app(make_items())) if entry.tags != ("health",)]
    assert (add.endpoint, add.rule, add.methods) == ("v1.items.add_item", "/api/v1/items/<int:shelf>", ("POST",))
    assert (add.access, add.body, add.query, add.response) == (require("stock:write"), ItemIn, None, ItemOut)
    assert (add.status, add.tags, add.deprecated, add.summary) == (201, ("stock",), False, "Add an item to a shelf.")
    assert (listing.endpoint, listing.tags, listing.deprecated) == ("v1.items.all", ("old",), True)
    assert listing.summary == "All of them"
    assert add.place.startswith(__file__)


def test_a_method_view_without_a_docstring_has_no_summary(make_app: MakeApp) -> None:
    items = Redprint("items")

    @items.route("", access=public)
    class Items(MethodView):
        def get(self) -> None:
            """Get them."""

    assert registered_routes(make_app(items))[-1].summary == ""


def test_a_deprecated_mount_deprecates_its_routes_alone(make_app: MakeApp) -> None:
    items, old, new = Redprint("items"), Blueprint("v1", __name__, url_prefix="/v1"), Blueprint("v2", __name__)
    items.get("", access=public, endpoint="all")(lambda: None)
    items.register(old, deprecation=Deprecation(datetime(2026, 1, 1, tzinfo=UTC)))
    items.register(new)
    entries = registered_routes(make_app(blueprints=[old, new]))[-2:]
    assert [entry.deprecated for entry in entries] == [True, False]


def test_each_application_has_its_own_registry(make_app: MakeApp) -> None:
    items = make_items()
    first, second = make_app(items), make_app(items)
    assert registered_routes(first) == registered_routes(second)
    assert registered_routes(first) is not registered_routes(second)


def undeclared() -> str:
    return "anybody"


@pytest.mark.parametrize("methods", [["GET"], ["OPTIONS"]])
def test_a_route_beside_the_redprints_stops_the_start(make_app: MakeApp, methods: list[str]) -> None:
    blueprint = Blueprint("side", __name__)
    blueprint.add_url_rule("/door", view_func=undeclared, methods=methods)
    with pytest.raises(RedprintError, match=rf"{__file__}:\d+: /door \(side\.undeclared\) declares no access"):
        make_app(blueprints=[blueprint])


@pytest.mark.parametrize(
    ("rule", "twin"),
    [("/<int:item_id>", "/<int:number>"), ("/<int:item_id>", "/<int:item_id>"), ("/<name>", "/<string:title>")],
)
def test_a_route_another_one_hides_stops_the_start(make_app: MakeApp, rule: str, twin: str) -> None:
    items = Redprint("items")
    items.get(rule, access=public, endpoint="first")(lambda **_: None)
    items.get(twin, access=public, endpoint="second")(lambda **_: None)
    with pytest.raises(RedprintError, match=r"\(v1\.items\.second\) is never reached: v1\.items\.first hides it"):
        make_app(items)


def test_one_rule_with_different_methods_or_converters_is_no_twin(make_app: MakeApp) -> None:
    items = Redprint("items")
    items.get("/<int:item_id>", access=public, endpoint="a")(lambda **_: None)
    items.delete("/<int:item_id>", access=public, endpoint="b")(lambda **_: None)
    items.get("/<uuid:item_id>", access=public, endpoint="c")(lambda **_: None)
    check_routes(make_app(items))
