from collections.abc import Callable

import pytest
from common.access import public
from common.redprint import Redprint, RedprintError, registered_routes
from flask import Blueprint, Flask, url_for
from flask.testing import FlaskClient
from flask.views import MethodView

MakeApp = Callable[..., Flask]


def show_item(item_id: int = 0) -> None:
    """Show one item."""


def list_items() -> None:
    """List the items."""


def make_items(**options: object) -> Redprint:
    items = Redprint("items", **options)  # type: ignore[arg-type] # each test gives valid ones
    items.get("", access=public)(list_items)
    items.get("/<int:item_id>", access=public, endpoint="one")(show_item)
    return items


def rules_of(redprint: Redprint, url_prefix: str | None = None) -> set[str]:
    """The rules a Redprint makes below `/api/v1`."""
    app = Flask(__name__, static_folder=None)
    blueprint = Blueprint("v1", __name__, url_prefix="/api/v1")
    redprint.register(blueprint, url_prefix=url_prefix)
    app.register_blueprint(blueprint)
    return {rule.rule for rule in app.url_map.iter_rules()}


def mount_on(app: Flask, redprint: Redprint, *versions: str) -> None:
    for version in versions:
        blueprint = Blueprint(version, __name__, url_prefix=f"/api/{version}")
        redprint.register(blueprint)
        app.register_blueprint(blueprint)


def test_the_name_is_the_prefix() -> None:
    assert rules_of(make_items()) == {"/api/v1/items", "/api/v1/items/<int:item_id>"}


def test_a_prefix_of_its_own_replaces_the_name() -> None:
    assert rules_of(make_items(url_prefix="/things")) == {"/api/v1/things", "/api/v1/things/<int:item_id>"}


def test_a_prefix_of_the_mount_replaces_both() -> None:
    assert rules_of(make_items(url_prefix="/things"), "/goods") == {"/api/v1/goods", "/api/v1/goods/<int:item_id>"}
    assert rules_of(make_items(), "/goods") == {"/api/v1/goods", "/api/v1/goods/<int:item_id>"}


def test_without_prefix_neither_the_name_nor_none_is_in_a_url() -> None:
    assert rules_of(make_items(with_prefix=False)) == {"/api/v1", "/api/v1/<int:item_id>"}


def test_a_mount_may_give_a_prefix_to_one_without() -> None:
    assert rules_of(make_items(with_prefix=False), "/goods") == {"/api/v1/goods", "/api/v1/goods/<int:item_id>"}


@pytest.mark.parametrize("prefix", ["/things/", "/things//"])
def test_a_slash_at_the_end_of_a_prefix_doubles_none(prefix: str) -> None:
    expected = {"/api/v1/things", "/api/v1/things/<int:item_id>"}
    assert rules_of(make_items(url_prefix=prefix)) == expected
    assert rules_of(make_items(), prefix) == expected


@pytest.mark.parametrize("prefix", ["", "/"])
def test_an_empty_prefix_is_none(prefix: str) -> None:
    assert rules_of(make_items(url_prefix=prefix)) == {"/api/v1", "/api/v1/<int:item_id>"}


def test_a_prefix_may_hold_a_parameter(make_client: Callable[..., FlaskClient]) -> None:
    members = Redprint("members", url_prefix="/teams/<int:team_id>/members")
    found: list[int] = []

    @members.get("", access=public)
    def list_members(team_id: int) -> None:
        found.append(team_id)

    assert make_client(members).get("/api/v1/teams/7/members").status_code == 204
    assert found == [7]


def test_a_redprint_is_mounted_on_two_versions_with_the_same_endpoints() -> None:
    app = Flask(__name__, static_folder=None)
    mount_on(app, make_items(), "v1", "v2")
    assert set(app.view_functions) == {"v1.items.list_items", "v1.items.one", "v2.items.list_items", "v2.items.one"}


def test_endpoints_name_their_urls() -> None:
    app = Flask(__name__, static_folder=None)
    mount_on(app, make_items(), "v1", "v2")
    with app.test_request_context():
        assert url_for("v1.items.list_items") == "/api/v1/items"
        assert url_for("v2.items.one", item_id=3) == "/api/v2/items/3"
    with app.test_request_context("/api/v2/items/3"):
        assert url_for(".list_items") == "/api/v2/items"


def test_mounting_changes_nothing_in_the_redprint() -> None:
    items = make_items(tags=["stock"])
    before = (items.name, items.url_prefix, items.tags, items.routes)
    mount_on(Flask(__name__), items, "v1", "v2")
    assert (items.name, items.url_prefix, items.tags, items.routes) == before


def test_two_applications_may_mount_one_redprint() -> None:
    items = make_items()
    for _ in range(2):
        app = Flask(__name__, static_folder=None)
        mount_on(app, items, "v1")
        assert len(registered_routes(app)) == 2


def test_rules_empty_and_slash_behave_as_in_flask(make_client: Callable[..., FlaskClient]) -> None:
    plain, slashed = Redprint("plain"), Redprint("slashed")
    plain.get("", access=public)(list_items)
    slashed.get("/", access=public)(list_items)
    client = make_client(plain, slashed)
    assert client.get("/api/v1/plain").status_code == 204
    assert client.get("/api/v1/plain/").status_code == 404
    assert client.get("/api/v1/slashed/").status_code == 204
    redirect = client.get("/api/v1/slashed")
    assert (redirect.status_code, redirect.location) == (308, "http://localhost/api/v1/slashed/")


def test_a_method_view_answers_with_its_methods(make_client: Callable[..., FlaskClient]) -> None:
    items = Redprint("items")

    @items.route("/<int:item_id>", access=public)
    class Item(MethodView):
        def get(self, item_id: int) -> tuple[None, int, dict[str, str]]:
            return None, 204, {"X-Item": str(item_id)}

        def delete(self, item_id: int) -> None:
            """Delete it."""

    client = make_client(items)
    assert client.get("/api/v1/items/5").headers["X-Item"] == "5"
    assert client.delete("/api/v1/items/5").status_code == 204
    refused = client.post("/api/v1/items/5")
    assert refused.status_code == 405
    assert set(refused.headers["Allow"].split(", ")) == {"DELETE", "GET", "HEAD", "OPTIONS"}


def test_the_function_below_a_route_stays_itself() -> None:
    assert Redprint("items").get("", access=public)(list_items) is list_items


def test_each_method_has_its_decorator(make_client: Callable[..., FlaskClient]) -> None:
    items = Redprint("items")
    for method in ("get", "post", "put", "patch", "delete"):
        getattr(items, method)("", access=public, endpoint=method)(list_items)
    client = make_client(items)
    assert [client.open("/api/v1/items", method=route.methods[0]).status_code for route in items.routes] == [204] * 5


def test_a_route_without_methods_answers_get(make_client: Callable[..., FlaskClient]) -> None:
    items = Redprint("items")
    items.route("", access=public)(list_items)
    client = make_client(items)
    assert client.get("/api/v1/items").status_code == 204
    assert client.post("/api/v1/items").status_code == 405


def test_several_methods_may_share_a_handler(make_client: Callable[..., FlaskClient]) -> None:
    items = Redprint("items")
    items.route("", methods=["put", "POST"], access=public)(list_items)
    client = make_client(items)
    assert client.put("/api/v1/items").status_code == 204
    assert client.post("/api/v1/items").status_code == 204
    assert client.get("/api/v1/items").status_code == 405


def test_a_second_mount_on_one_blueprint_is_refused_with_both_lines() -> None:
    blueprint, items = Blueprint("v1", __name__), make_items()
    items.register(blueprint)
    with pytest.raises(RedprintError, match=rf"{__file__}:\d+: .*mounted on the Blueprint v1 already, at {__file__}"):
        items.register(blueprint, url_prefix="/again")


def test_two_redprints_of_one_name_on_one_blueprint_are_refused() -> None:
    blueprint = Blueprint("v1", __name__)
    make_items().register(blueprint)
    with pytest.raises(RedprintError, match="a Redprint items is mounted"):
        make_items().register(blueprint)


def test_a_mount_on_a_blueprint_that_is_in_use_is_refused() -> None:
    app, blueprint = Flask(__name__), Blueprint("v1", __name__)
    app.register_blueprint(blueprint)
    with pytest.raises(RedprintError, match=rf"{__file__}:\d+: the Blueprint v1 is already part of an application"):
        make_items().register(blueprint)


def test_a_route_added_after_mounting_is_refused_with_its_line_and_the_mounts() -> None:
    items = make_items()
    items.register(Blueprint("v1", __name__))
    with pytest.raises(
        RedprintError, match=rf"{__file__}:\d+: items\.late comes after items was mounted at {__file__}"
    ):

        @items.get("/late", access=public)
        def late() -> None:
            """Come too late."""
