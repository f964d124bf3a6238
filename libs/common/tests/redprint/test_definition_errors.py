"""Each fault of a definition is one clear error with the file and line of the offender."""

import functools
import inspect
import linecache
from collections.abc import Callable
from typing import Any

import pytest
from common.access import public, service_only, user
from common.redprint import Redprint, RedprintError, errors
from common.web.shapes import Shape
from flask import Blueprint, Flask
from flask.views import MethodView, View


class Item(Shape):
    name: str


def handler() -> None:
    """Do nothing."""


def line_of(function: Callable[..., Any]) -> str:
    return f"{__file__}:{inspect.getsourcelines(function)[1]}: "


def refusal(define: Callable[[], object]) -> str:
    with pytest.raises(RedprintError) as caught:
        define()
    return str(caught.value)


@pytest.mark.parametrize("name", ["", "v1.items", ".", "items/new", "with space", "1st", None, 7])
def test_a_name_that_is_empty_dotted_or_odd_is_refused(name: Any) -> None:
    message = refusal(lambda: Redprint(name))
    assert message.startswith(f"{__file__}:")
    assert repr(name) in message


@pytest.mark.parametrize("endpoint", ["", "v1.items", "a b"])
def test_an_endpoint_that_is_empty_dotted_or_odd_is_refused(endpoint: str) -> None:
    message = refusal(lambda: Redprint("items").get("", access=public, endpoint=endpoint)(handler))
    assert message.startswith(line_of(handler))


@pytest.mark.parametrize("rule", ["items", "<int:n>", "a/b"])
def test_a_rule_without_a_leading_slash_is_refused(rule: str) -> None:
    message = refusal(lambda: Redprint("items").get(rule, access=public)(handler))
    assert message == line_of(handler) + f"the rule {rule!r} has to start with a slash (or be empty)"


@pytest.mark.parametrize("rule", ["//", "/a//b", "/a//"])
def test_a_rule_with_a_double_slash_is_refused(rule: str) -> None:
    assert "double slash" in refusal(lambda: Redprint("items").get(rule, access=public)(handler))


@pytest.mark.parametrize("prefix", ["items", "/a//b"])
def test_a_bad_prefix_is_refused(prefix: str) -> None:
    assert refusal(lambda: Redprint("items", url_prefix=prefix)).startswith(f"{__file__}:")


def test_no_prefix_and_a_prefix_contradict_each_other() -> None:
    assert "say one of them" in refusal(lambda: Redprint("items", with_prefix=False, url_prefix="/x"))


@pytest.mark.parametrize("access", [None, "public", lambda: None])
def test_a_route_without_access_stops_the_start_with_its_name(access: Any) -> None:
    message = refusal(lambda: Redprint("items").get("/all", access=access)(handler))
    assert message.startswith(line_of(handler) + "the route '/all' (items.handler) declares no access")
    assert "access=public" in message


def test_two_handlers_of_one_name_are_refused_with_both_lines() -> None:
    items = Redprint("items")
    items.get("/a", access=public)(handler)

    def other() -> None:
        """Be another."""

    other.__name__ = "handler"
    message = refusal(lambda: items.get("/b", access=public)(other))
    assert message.startswith(line_of(other))
    assert line_of(handler).rstrip(": ") in message


def test_one_handler_on_two_rules_needs_two_endpoints() -> None:
    items = Redprint("items")
    items.get("/a", access=public)(handler)
    assert "endpoint=" in refusal(lambda: items.get("/b", access=public)(handler))
    items.get("/b", access=public, endpoint="handler_b")(handler)
    assert [route.endpoint for route in items.routes] == ["handler", "handler_b"]


@pytest.mark.parametrize("methods", [[], "GET", ["FETCH"], ["GET", ""]])
def test_methods_that_are_none_are_refused(methods: Any) -> None:
    assert "methods=" in refusal(lambda: Redprint("items").route("", methods=methods, access=public)(handler))


def test_a_method_view_without_methods_is_refused() -> None:
    class Empty(MethodView):
        pass

    assert "methods=" in refusal(lambda: Redprint("items").route("", access=public)(Empty))


@pytest.mark.parametrize(
    "options",
    [
        {"methods": ["PUT"], "access": user},
        {"methods": ["POST", "PUT"], "access": user},
        {"methods": ["POST"], "access": public},
        {"methods": ["POST"], "access": service_only("items:write")},
    ],
)
def test_keys_are_taken_by_posts_of_users_only(options: dict[str, Any]) -> None:
    message = refusal(lambda: Redprint("items").route("", idempotent=True, **options)(handler))
    assert "keys belong to somebody" in message


def test_a_rule_too_long_to_be_kept_with_its_keys_is_refused() -> None:
    items = Redprint("items")
    items.post("/" + "x" * 120, access=user, idempotent=True)(handler)
    blueprint = Blueprint("v1", __name__)
    items.register(blueprint)
    assert "too long for idempotent=True" in refusal(lambda: Flask("x").register_blueprint(blueprint))


def test_an_async_handler_is_refused() -> None:
    async def wait() -> None:
        """Wait."""

    assert "async" in refusal(lambda: Redprint("items").get("", access=public)(wait))


def test_a_body_on_a_get_is_refused() -> None:
    def show(body: Item) -> None:
        """Show it."""

    assert "declares a body" in refusal(lambda: Redprint("items").get("", access=public, body=Item)(show))


@pytest.mark.parametrize("kind", [object, View])
def test_a_class_that_is_no_method_view_is_refused(kind: type) -> None:
    thing = type("Thing", (kind,), {"__module__": __name__})
    assert "Thing is a class" in refusal(lambda: Redprint("items").get("", access=public)(thing))


def test_a_method_view_without_a_declared_method_is_refused() -> None:
    assert "Items has no method put()" in refusal(
        lambda: Redprint("items").route("", methods=["GET", "PUT"], access=public)(Items)
    )


def test_an_async_method_of_a_method_view_is_refused() -> None:
    class Waiting(MethodView):
        async def get(self) -> None:
            """Wait."""

    assert "async" in refusal(lambda: Redprint("items").route("", access=public)(Waiting))


def test_a_decorator_without_its_rule_is_refused_instead_of_swallowing_the_handler() -> None:
    message = refusal(lambda: Redprint("items").get(handler))  # type: ignore[arg-type] # the fault under test
    assert message.startswith(line_of(handler) + "the decorator above lacks its rule")


class Items(MethodView):
    def get(self, n: int) -> None:
        """Show it."""

    def post(self, n: int, body: Item) -> None:
        """Take it."""


def take_body(body: Item) -> None:
    """Take a body."""


def take_query(query: Item) -> None:
    """Take a query."""


def take_number(n: int) -> None:
    """Take a parameter of the rule."""


def take_all(**arguments: object) -> None:
    """Take anything."""


def take_optional(n: int = 0, body: Item | None = None) -> None:
    """Take what there is."""


def mount(handler: Any, rule: str = "", prefix: str = "", **options: Any) -> None:
    items = Redprint("items", url_prefix=prefix)
    items.route(rule, access=public, **options)(handler)
    blueprint = Blueprint("v1", __name__, url_prefix="/v1")
    items.register(blueprint)
    Flask(__name__, static_folder=None).register_blueprint(blueprint)


NUMBER = "/<int:n>"
MISFITS: dict[str, tuple[str, dict[str, Any]]] = {
    "a parameter it does not take": ("'n'", {"handler": handler, "rule": NUMBER}),
    "a parameter of the prefix it does not take": ("'n'", {"handler": handler, "prefix": NUMBER}),
    "a parameter nobody gives": ("'n'", {"handler": take_number}),
    "a body it does not take": ("'body'", {"handler": handler, "methods": ["POST"], "body": Item}),
    "a query it does not take": ("'query'", {"handler": handler, "query": Item}),
    "a body nobody declared": ("'body'", {"handler": take_body, "methods": ["POST"]}),
    "a query nobody declared": ("'query'", {"handler": take_query}),
    "a body its GET has not": ("'body'", {"handler": take_body, "methods": ["GET", "POST"], "body": Item}),
    "a method without its parameter": ("'n'", {"handler": Items, "body": Item}),
    "a method without its body": ("'body'", {"handler": Items, "rule": NUMBER}),
}


@pytest.mark.parametrize(("name", "options"), MISFITS.values(), ids=MISFITS.keys())
def test_a_handler_no_request_could_reach_stops_the_start(name: str, options: dict[str, Any]) -> None:
    message = refusal(lambda: mount(**options))
    assert message.startswith(line_of(options["handler"]))
    assert "cannot answer" in message
    assert name in message


@pytest.mark.parametrize(
    "options",
    [
        {"handler": take_all, "rule": NUMBER, "methods": ["POST"], "body": Item},
        {"handler": take_optional, "rule": NUMBER, "methods": ["GET", "POST"], "body": Item},
        {"handler": take_optional},
        {"handler": Items, "rule": NUMBER, "body": Item},
        {"handler": take_number, "prefix": NUMBER},
    ],
)
def test_a_handler_that_fits_is_mounted(options: dict[str, Any]) -> None:
    mount(**options)


@pytest.mark.parametrize(("rule", "fault"), [("/<n", "malformed"), ("/<kind:n>", "converter 'kind'")])
def test_a_rule_werkzeug_cannot_read_stops_the_start_with_the_handlers_line(rule: str, fault: str) -> None:
    message = refusal(lambda: mount(take_all, rule))
    assert message.startswith(line_of(take_all) + f"the rule {rule!r} does not work")
    assert fault in message


def test_a_decorator_below_a_route_is_looked_through() -> None:
    @functools.wraps(handler)
    def wrapped() -> None:
        """Call the handler."""

    items = Redprint("items")
    items.get("", access=public)(wrapped)
    assert items.routes[0].place == line_of(handler).rstrip(": ")


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(TypeError, match="respnse"):
        Redprint("items").get("", access=public, respnse=Item)  # type: ignore[call-arg] # the fault under test


def test_a_handler_made_at_run_time_is_named_by_its_module() -> None:
    namespace: dict[str, Any] = {"__name__": "made_up"}
    exec("def made(): pass", namespace)
    message = refusal(lambda: Redprint("items").get("x", access=public)(namespace["made"]))
    assert message.startswith("made_up: ")


def test_the_source_of_a_command_line_is_not_taken_for_that_of_a_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(linecache.cache, "<string>", (20, None, ["def made(): pass\n"], "<string>"))
    namespace: dict[str, Any] = {"__name__": "made_up"}
    exec("def made(): pass", namespace)
    assert errors.line_of(namespace["made"]) == "made_up"
