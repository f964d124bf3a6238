"""Registering: the same answer for everybody, and which passwords and addresses are refused."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from auth_service.hashing import BoundedHasher
from auth_service.models import User
from flask import Flask
from sqlalchemy import func, select

# For what is refused before the database is asked.
only_sqlite = pytest.mark.parametrize("database_backend", ["sqlite"], indirect=True)


def count_users(app: Flask) -> int:
    with app.extensions["database"].read() as session:
        return int(session.scalar(select(func.count()).select_from(User)))


def stored_user(app: Flask) -> User:
    with app.extensions["database"].read() as session:
        user: User = session.scalars(select(User)).one()
        return user


def test_a_new_address_gets_an_account(person: Any, app: Flask, clock: Any) -> None:
    response = person.register(name="Ada")
    assert (response.status_code, response.get_json()) == (202, {"status": "accepted"})
    user = stored_user(app)
    assert (user.email, user.name, user.status, user.password_scheme) == (person.email, "Ada", "active", 1)
    assert (user.email_verified_at, user.created_at) == (None, clock())


def test_the_password_is_kept_as_argon2id_with_the_floor_of_its_parameters(person: Any, app: Flask) -> None:
    person.register()
    assert stored_user(app).password_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_a_known_address_gets_the_same_answer_and_keeps_its_account(person: Any, app: Flask) -> None:
    first = person.register()
    again = person.register(password="another long enough one", name="Eve")
    assert (again.status_code, again.data) == (first.status_code, first.data)
    assert set(again.headers.keys()) == set(first.headers.keys())
    assert count_users(app) == 1
    assert person.log_in().status_code == 200
    assert person.log_in(password="another long enough one").status_code == 401


def test_a_password_is_hashed_for_known_addresses_too(person: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    original = BoundedHasher.hash
    monkeypatch.setattr(
        BoundedHasher, "hash", lambda self, password: hashed.append(password) or original(self, password)
    )
    person.register()
    person.register()
    assert len(hashed) == 2


def test_registering_one_address_many_times_at_once_makes_one_account(
    make_app: Callable[..., Flask], make_person: Callable[..., Any], person: Any
) -> None:
    app = make_app(WEB_THREADS="8")  # enough that nobody is turned away

    def register(_: int) -> int:
        return int(make_person(app.test_client(), email=person.email).register().status_code)

    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(register, range(12)))
    assert statuses == [202] * 12
    assert count_users(app) == 1


def test_an_address_in_another_case_is_the_same_account(person: Any, app: Flask) -> None:
    person.register()
    assert person.register(email=person.email.upper()).status_code == 202
    assert count_users(app) == 1
    assert person.log_in(email=person.email.upper()).status_code == 200


@pytest.mark.parametrize(
    "email",
    [
        pytest.param("zoé@example.com", id="A77-accent"),
        pytest.param("\u212aim@example.com", id="A77-kelvin-sign"),
        pytest.param("m\u0131ke@example.com", id="A77-dotless-i"),
        pytest.param("straße@example.com", id="A77-sharp-s"),
        pytest.param("\uff41da@example.com", id="A77-full-width"),
    ],
)
def test_an_address_that_looks_like_anothers_is_refused(
    person: Any, app: Flask, assert_problem: Callable[..., Any], email: str
) -> None:
    for plain in ("zoe", "kim", "mike", "strasse", "ada"):
        person.register(email=f"{plain}@example.com")
    assert_problem(person.register(email=email), 422, "validation-failed")
    assert person.log_in(email=email).status_code == 401
    assert count_users(app) == 5


@only_sqlite
@pytest.mark.parametrize(
    "email", ["", "ada", "ada@", "@example.com", "ada@example", "a b@example.com", "ada@example.com\n", "a@b@c.com", 7]
)
def test_what_is_no_address_is_refused(person: Any, assert_problem: Callable[..., Any], email: object) -> None:
    body = assert_problem(person.register(email=email), 422, "validation-failed")
    assert [error["field"] for error in body["errors"]] == ["email"]


@only_sqlite
def test_an_address_too_long_is_refused(person: Any, assert_problem: Callable[..., Any]) -> None:
    assert_problem(person.register(email="a" * 300 + "@example.com"), 422, "validation-failed")


@only_sqlite
@pytest.mark.parametrize(
    ("password", "code"),
    [
        pytest.param("x" * 14, "too-short", id="14"),
        pytest.param("é" * 14, "too-short", id="14-in-28-bytes"),
        pytest.param("e\u0301" * 14, "too-short", id="14-in-28-code-points"),
        pytest.param("correct horse battery staple " * 5, "too-long", id="145"),
        pytest.param("correct horse\0battery", "invalid-characters", id="nul"),
        pytest.param("Redprint-redprint-1", "too-predictable", id="product-name"),
    ],
)
def test_a_password_against_the_policy_is_refused_with_its_reason(
    person: Any, app: Flask, assert_problem: Callable[..., Any], password: str, code: str
) -> None:
    body = assert_problem(person.register(password=password), 422, "validation-failed")
    assert [(error["field"], error["code"]) for error in body["errors"]] == [("password", code)]
    assert password not in str(body)
    assert count_users(app) == 0


@only_sqlite
def test_the_own_address_is_no_password(person: Any, assert_problem: Callable[..., Any]) -> None:
    for password in (person.email, person.email.upper() + "1", person.email.partition("@")[0] + "2026"):
        assert_problem(person.register(password=password), 422, "validation-failed")


@only_sqlite
def test_a_lone_surrogate_is_no_json(client: Any, assert_problem: Callable[..., Any]) -> None:
    text = '{"email": "ada@example.com", "password": "correct horse battery \\ud800"}'
    response = client.post("/api/v1/auth/register", data=text, content_type="application/json")
    assert_problem(response, 400, "malformed-json")


@only_sqlite
@pytest.mark.parametrize(
    "password", ["a b c d e f g h", "no digit but 🐎🐎", "пароль из пяти слов", " -- __ == ++ ~~ "]
)
def test_any_long_enough_password_is_taken_as_it_is(person: Any, password: str) -> None:
    assert person.register(password=password).status_code == 202
    assert person.log_in(password=password).status_code == 200
    assert person.log_in(password=password + " ").status_code == 401


def test_two_spellings_of_one_character_are_one_password(person: Any) -> None:
    assert person.register(password="caf\u00e9 ol\u00e9 d\u00e9j\u00e0 vu").status_code == 202
    assert person.log_in(password="cafe\u0301 ole\u0301 de\u0301ja\u0300 vu").status_code == 200


@only_sqlite
@pytest.mark.parametrize(
    "change",
    [
        *({"name": f"a{separator}b"} for separator in ("\n", "\r", "\0", "\x7f", "\x85", "\u2028", "\u2029")),
        {"name": ""},
        {"name": "x" * 201},
        {"name": 7},
        {"role": "admin"},
        {"password": 7},
    ],
)
def test_a_body_of_another_shape_is_refused(
    person: Any, assert_problem: Callable[..., Any], change: dict[str, object]
) -> None:
    body = assert_problem(person.register(**change), 422, "validation-failed")
    assert [error["field"] for error in body["errors"]] == list(change)


@only_sqlite
def test_an_empty_body_names_both_missing_fields(person: Any, assert_problem: Callable[..., Any]) -> None:
    body = assert_problem(person.post("register", {}), 422, "validation-failed")
    assert {error["field"] for error in body["errors"]} == {"email", "password"}
