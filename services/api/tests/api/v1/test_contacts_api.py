"""Contacts over HTTP: what callers get, and what they are refused."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from common.ids import new_id
from werkzeug.test import TestResponse

PATH = "/api/v1/contacts"
PROBLEM = "application/problem+json"

# Fixtures of conftest.py; its User cannot be imported by name.
User = Any


def create(user: User, **fields: Any) -> TestResponse:
    response = user.post(PATH, json={"name": "Ada", **fields})
    assert response.status_code == 201, response.text
    return response


def assert_problem(response: TestResponse, status: int, code: str) -> dict[str, Any]:
    assert (response.status_code, response.content_type) == (status, PROBLEM), response.text
    body: dict[str, Any] = response.get_json()
    assert body["code"] == code
    return body


def test_a_created_contact_is_answered_with_its_place_and_version(user: User) -> None:
    response = create(user, email="a@b.de", birthday="1815-12-10", tags=["x"])
    body = response.get_json()
    assert response.headers["Location"] == f"{PATH}/{body['id']}"
    assert response.headers["ETag"] == '"1"'
    assert UUID(body["id"]).version == 7
    assert body == {
        "id": body["id"],
        "external_id": None,
        "name": "Ada",
        "given_name": None,
        "family_name": None,
        "email": "a@b.de",
        "phone": None,
        "organization": None,
        "address": None,
        "url": None,
        "birthday": "1815-12-10",
        "tags": ["x"],
        "notes": None,
        "version": 1,
        "created_at": body["created_at"],
        "updated_at": body["created_at"],
    }
    assert body["created_at"].endswith("Z")
    shown = user.get(response.headers["Location"])
    assert (shown.status_code, shown.get_json(), shown.headers["ETag"]) == (200, body, '"1"')


def test_texts_are_stripped_and_empty_ones_are_none_as_in_imports(user: User) -> None:
    body = create(user, name="  Ada ", phone=" ", email="", tags=None).get_json()
    assert (body["name"], body["phone"], body["email"], body["tags"]) == ("Ada", None, None, [])
    assert create(user, name="", given_name="A", family_name="B").get_json()["name"] == "A B"


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"name": ""}, "name", "missing"),
        ({"name": None}, "name", "missing"),
        ({"name": 1}, "name", "string-type"),
        ({"name": "x" * 256}, "name", "string-too-long"),
        ({"email": "no"}, "email", "invalid-email"),
        ({"url": "javascript:x"}, "url", "invalid-url"),
        ({"birthday": "10.12.1815"}, "birthday", "invalid-date"),
        ({"birthday": 19700101}, "birthday", "invalid-date"),
        ({"tags": "x"}, "tags", "list-type"),
        ({"tags": [1]}, "tags.0", "string-type"),
        ({"notes": "a\u0000b"}, "notes", "control-character"),
        ({"shoe_size": 42}, "shoe_size", "extra-forbidden"),
        ({"id": str(new_id())}, "id", "extra-forbidden"),
        ({"version": 7}, "version", "extra-forbidden"),
    ],
)
def test_a_bad_field_is_named(user: User, fields: dict[str, Any], field: str, code: str) -> None:
    body = assert_problem(user.post(PATH, json={"name": "Ada", **fields}), 422, "validation-failed")
    assert [(error["field"], error["code"]) for error in body["errors"]] == [(field, code)]


@pytest.mark.parametrize(
    ("data", "content_type", "status", "code"),
    [
        ("{", "application/json", 400, "malformed-json"),
        ('{"name": "a", "name": "b"}', "application/json", 400, "malformed-json"),
        ("[]", "application/json", 422, "validation-failed"),
        ("null", "application/json", 422, "validation-failed"),
        ("name=x", "application/x-www-form-urlencoded", 415, "unsupported-media-type"),
        ('{"name": "' + "x" * 2_000_000 + '"}', "application/json", 413, "content-too-large"),
    ],
)
def test_a_body_that_is_no_contact_is_refused(user: User, data: str, content_type: str, status: int, code: str) -> None:
    assert_problem(user.post(PATH, data=data, content_type=content_type), status, code)


def test_a_taken_external_id_is_a_conflict(user: User, new_user: Callable[[], User]) -> None:
    create(user, external_id="7")
    assert_problem(user.post(PATH, json={"name": "x", "external_id": "7"}), 409, "contact-exists")
    create(new_user(), external_id="7")
    other = create(user, external_id="8").headers["Location"]
    assert_problem(user.patch(other, json={"external_id": "7"}), 409, "contact-exists")


def test_a_change_sets_and_clears_and_gives_a_new_version(user: User) -> None:
    place = create(user, phone="1", email="a@b.de").headers["Location"]
    response = user.patch(place, json={"phone": None, "notes": "n"}, headers={"If-Match": '"1"'})
    body = response.get_json()
    assert (response.status_code, response.headers["ETag"]) == (200, '"2"')
    assert (body["phone"], body["notes"], body["email"], body["version"]) == (None, "n", "a@b.de", 2)
    assert user.patch(place, json={}).headers["ETag"] == '"2"'


@pytest.mark.parametrize(
    "tag", ['"1"', 'W/"2"', '"x"', "", '""', "2", '"02"', '"2', '*, "1"', '"' + "9" * 5000 + '"', '"²"']
)
@pytest.mark.parametrize("method", ["patch", "delete"])
def test_a_change_of_another_version_is_refused(user: User, tag: str, method: str) -> None:
    place = create(user).headers["Location"]
    user.patch(place, json={"notes": "n"})
    options = {"json": {"notes": "m"}} if method == "patch" else {}
    response = user.open(method.upper(), place, headers={"If-Match": tag.encode().decode("latin-1")}, **options)
    assert_problem(response, 412, "contact-changed")
    assert user.get(place).get_json()["notes"] == "n"


@pytest.mark.parametrize("tag", ["*", '"2"', '"1", "2"', '"1" ,W/"9","2"'])
def test_a_change_of_the_version_named_is_made(user: User, tag: str) -> None:
    place = create(user).headers["Location"]
    user.patch(place, json={"notes": "n"})
    assert user.patch(place, json={"notes": "m"}, headers={"If-Match": tag}).status_code == 200
    assert user.delete(place, headers={"If-Match": "*"}).status_code == 204


def test_a_deleted_contact_is_gone_until_it_is_restored(user: User) -> None:
    place = create(user).headers["Location"]
    deleted = user.delete(place)
    assert (deleted.status_code, deleted.data) == (204, b"")
    for response in (user.get(place), user.patch(place, json={}), user.delete(place)):
        assert_problem(response, 404, "contact-not-found")
    restored = user.post(f"{place}/restore")
    assert (restored.status_code, restored.headers["ETag"]) == (200, '"3"')
    assert user.get(place).status_code == 200


def test_restoring_onto_a_taken_external_id_is_a_conflict(user: User) -> None:
    place = create(user, external_id="7").headers["Location"]
    user.delete(place)
    create(user, external_id="7")
    assert_problem(user.post(f"{place}/restore"), 409, "contact-exists")


def test_another_user_s_contact_is_not_there(user: User, new_user: Callable[[], User]) -> None:
    place = create(user).headers["Location"]
    stranger = new_user()
    for response in (
        stranger.get(place),
        stranger.patch(place, json={"name": "mine"}),
        stranger.delete(place),
        stranger.post(f"{place}/restore"),
    ):
        assert_problem(response, 404, "contact-not-found")
    assert stranger.get(PATH).get_json() == {"items": [], "next_cursor": None}
    assert user.get(place).get_json()["name"] == "Ada"


def test_pages_lead_to_every_contact_once(user: User, new_user: Callable[[], User]) -> None:
    names = [str(number) for number in range(7)]
    for name in names:
        create(user, name=name)
    create(new_user(), name="not yours")
    seen, cursor = [], ""
    while cursor is not None:
        page = user.get(f"{PATH}?limit=3{cursor and f'&cursor={cursor}'}").get_json()
        seen += [item["name"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert seen == names


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("cursor=x", "cursor"),
        ("cursor=", "cursor"),
        ("limit=1&limit=2", "limit"),
        ("sort=name", "sort"),
    ],
)
def test_a_query_that_is_not_understood_is_refused(user: User, query: str, field: str) -> None:
    body = assert_problem(user.get(f"{PATH}?{query}"), 422, "validation-failed")
    assert [error["field"] for error in body["errors"]] == [field]


def test_an_id_that_is_none_leads_nowhere(user: User) -> None:
    assert_problem(user.get(f"{PATH}/7"), 404, "not-found")
    assert_problem(user.get(f"{PATH}/{new_id()}"), 404, "contact-not-found")
    response = user.open("PUT", f"{PATH}/{new_id()}", json={})
    assert_problem(response, 405, "method-not-allowed")
    assert {"GET", "PATCH", "DELETE"} <= set(response.headers["Allow"].split(", "))
