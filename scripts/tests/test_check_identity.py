"""scripts/check-identity, against services that keep their promises and services that do not."""

import base64
import json
from collections.abc import Callable, Iterable, Iterator

import pytest
from devtools.identity.checks import HEARD_WITHIN_SECONDS, NotKept, Services, keys_change, logout_is_heard
from devtools.tour.http import Request, Response


class Fake:
    """auth and api in one: `kids` sign the logins in turn, and the api takes `deaf_for` more calls after a logout."""

    def __init__(self, kids: Iterable[str] = ("k1",), published: set[str] | None = None, deaf_for: int = 0) -> None:
        self.kids = iter(kids)
        self.published = {"k1", "k2"} if published is None else published
        self.refused: set[str] = set()
        self.deaf_for = deaf_for
        self.is_out = False

    def __call__(self, request: Request) -> Response:
        path = request.url.partition("/api/v1/")[2] or request.url.rpartition("/")[2]
        if path == "auth/register":
            return answer(202)
        if path == "auth/login":
            header = base64.urlsafe_b64encode(json.dumps({"kid": next(self.kids)}).encode()).decode().rstrip("=")
            return answer(200, {"access_token": f"{header}.x.y", "refresh_token": "r"})
        if path == "auth/logout":
            self.is_out = True
            return answer(204)
        if path == "jwks.json":
            return answer(200, {"keys": [{"kid": kid} for kid in self.published]})
        return answer(401 if self._is_refused(str(request.token)) else 200, {"items": []})

    def _is_refused(self, token: str) -> bool:
        if self.is_out:
            self.deaf_for -= 1
        kid = json.loads(base64.urlsafe_b64decode(token.partition(".")[0] + "=="))["kid"]
        return kid in self.refused or (self.is_out and self.deaf_for < 0)


def answer(status: int, body: object = None) -> Response:
    return Response(status, {}, json.dumps(body).encode() if body is not None else b"")


def services(fake: Fake) -> Services:
    return Services("http://auth", "http://api", fake)


def ticking() -> Callable[[], float]:
    seconds: Iterator[int] = iter(range(1000))
    return lambda: float(next(seconds))


def test_a_logout_that_the_api_hears_is_timed() -> None:
    assert logout_is_heard(services(Fake(deaf_for=1)), ticking()) == 2


def test_a_logout_that_the_api_never_hears_is_reported() -> None:
    with pytest.raises(NotKept, match=f"{HEARD_WITHIN_SECONDS:.0f} s after the logout"):
        logout_is_heard(services(Fake(deaf_for=100)), ticking())


def test_an_answer_that_is_neither_yes_nor_no_is_reported() -> None:
    def broken(request: Request) -> Response:
        return answer(503) if "contacts" in request.url else Fake()(request)

    with pytest.raises(NotKept, match="the api answered 503"):
        logout_is_heard(Services("http://auth", "http://api", broken), ticking())


def test_a_change_of_keys_is_waited_for() -> None:
    fake = Fake(["k1", "k1", "k1", "k2"])
    assert keys_change(services(fake), 60, lambda _: None, ticking()) == ("k1", "k2", 6)


def test_a_key_that_signs_before_it_is_published_is_reported() -> None:
    with pytest.raises(NotKept, match="k2 signs, and was not published before"):
        keys_change(services(Fake(["k1", "k2"], published={"k1"})), 60, lambda _: None, ticking())


@pytest.mark.parametrize("refused", ["k1", "k2"])
def test_a_good_token_that_is_refused_is_reported(refused: str) -> None:
    fake = Fake(["k1", "k1", "k2"])
    fake.refused = {refused}
    with pytest.raises(NotKept, match=f"good token of the key {refused}"):
        keys_change(services(fake), 60, lambda _: None, ticking())


def test_a_change_that_does_not_come_is_reported() -> None:
    with pytest.raises(NotKept, match="after 5 s k1 still signs"):
        keys_change(services(Fake(["k1"] * 100)), 5, lambda _: None, ticking())
