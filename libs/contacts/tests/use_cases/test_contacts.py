"""What can be done with contacts, and by whom, on both databases."""

from datetime import date
from typing import Any
from uuid import UUID

import pytest
from common.db import Database
from common.errors import FieldErrors
from common.ids import new_id
from common.testing.clock import SettableClock
from contacts.errors import ContactChanged, ContactExists, ContactNotFound
from contacts.models import Contact
from contacts.use_cases import contacts as use_cases


class Owner:
    """One owner's view: the use cases with everything but their subject filled in."""

    def __init__(self, database: Database, clock: SettableClock) -> None:
        self.id = new_id()
        self.database = database
        self.clock = clock

    def create(self, **fields: Any) -> Contact:
        with self.database.write() as session:
            return use_cases.create_contact(session, self.id, fields, now=self.clock())  # type: ignore[arg-type] # as sent

    def get(self, contact_id: UUID) -> use_cases.ContactRow:
        with self.database.read() as session:
            return use_cases.get_contact(session, self.id, contact_id)

    def list(self, limit: int = 100, after: UUID | None = None) -> tuple[list[str], UUID | None]:
        with self.database.read() as session:
            rows, last = use_cases.list_contacts(session, self.id, limit, after)
        return [row.name for row in rows], last

    def update(self, contact_id: UUID, versions: set[int] | None = None, **fields: Any) -> Contact:
        with self.database.write() as session:
            return use_cases.update_contact(
                session,
                self.id,
                contact_id,
                fields,  # type: ignore[arg-type] # as sent
                now=self.clock(),
                expected_versions=versions,
            )

    def delete(self, contact_id: UUID, versions: set[int] | None = None) -> None:
        with self.database.write() as session:
            use_cases.delete_contact(session, self.id, contact_id, now=self.clock(), expected_versions=versions)

    def restore(self, contact_id: UUID) -> Contact:
        with self.database.write() as session:
            return use_cases.restore_contact(session, self.id, contact_id, now=self.clock())


@pytest.fixture
def owner(database: Database, clock: SettableClock) -> Owner:
    return Owner(database, clock)


@pytest.fixture
def stranger(database: Database, clock: SettableClock) -> Owner:
    return Owner(database, clock)


def test_a_created_contact_is_read_back_with_every_field(owner: Owner) -> None:
    fields = {
        "external_id": "7",
        "name": "Ada",
        "given_name": "A",
        "family_name": "L",
        "email": "a@b.de",
        "phone": "1",
        "organization": "o",
        "address": "a\nb",
        "url": "https://a.b",
        "birthday": date(1815, 12, 10),
        "tags": ["x", "ü"],
        "notes": "n",
    }
    contact = owner.create(**fields)
    row = owner.get(contact.id)
    assert {name: getattr(row, name) for name in fields} == fields
    assert (row.version, row.created_at, row.updated_at) == (1, owner.clock.now, owner.clock.now)


def test_a_contact_needs_a_name_or_a_part_of_one(owner: Owner) -> None:
    assert owner.create(given_name="Ada", family_name="L").name == "Ada L"
    with pytest.raises(FieldErrors) as refused:
        owner.create(email="a@b.de")
    assert [(error.field, error.code) for error in refused.value.errors] == [("name", "missing")]


def test_an_external_id_is_taken_once_an_owner(owner: Owner, stranger: Owner) -> None:
    owner.create(external_id="7", name="x")
    stranger.create(external_id="7", name="x")
    with pytest.raises(ContactExists, match="Another contact has this external_id"):
        owner.create(external_id="7", name="y")
    assert owner.list()[0] == ["x"]


def test_external_ids_are_compared_byte_for_byte(owner: Owner) -> None:
    for external_id in ("a", "A", "á", "a ", "ß", "ss"):
        owner.create(external_id=external_id, name="x")
    assert len(owner.list()[0]) == 6


def test_any_number_of_contacts_has_no_external_id(owner: Owner) -> None:
    owner.create(name="x")
    owner.create(name="x")
    assert owner.list()[0] == ["x", "x"]


def test_pages_are_in_order_of_creation_with_nothing_twice_or_missing(owner: Owner, stranger: Owner) -> None:
    names = [str(number) for number in range(7)]
    contacts = [owner.create(name=name) for name in names]
    stranger.create(name="not yours")
    first, last = owner.list(limit=3)
    assert last == contacts[2].id
    owner.delete(contacts[2].id)  # the cursor may be gone
    owner.create(name="7")
    second, last = owner.list(limit=3, after=last)
    third, end = owner.list(limit=3, after=last)
    assert [*first, *second, *third] == [*names, "7"]
    assert end is None
    assert owner.list(limit=2, after=contacts[6].id)[1] is None
    assert stranger.list()[0] == ["not yours"]


def test_another_owner_s_contact_does_not_exist(owner: Owner, stranger: Owner) -> None:
    contact = owner.create(name="x")
    for attempt in (stranger.get, stranger.update, stranger.delete, stranger.restore):
        with pytest.raises(ContactNotFound):
            attempt(contact.id)
    with pytest.raises(ContactNotFound):
        owner.get(new_id())
    assert owner.get(contact.id).version == 1


def test_an_update_sets_what_is_given_and_clears_what_is_none(owner: Owner) -> None:
    contact = owner.create(name="x", phone="1", email="a@b.de", tags=["x"])
    owner.clock.advance(5)
    updated = owner.update(contact.id, phone=None, notes="n", tags=[])
    assert (updated.phone, updated.notes, updated.tags, updated.email) == (None, "n", [], "a@b.de")
    assert (updated.version, updated.created_at, updated.updated_at) == (2, contact.created_at, owner.clock.now)
    assert owner.get(contact.id).version == 2


def test_an_update_that_changes_nothing_keeps_version_and_time(owner: Owner) -> None:
    contact = owner.create(name="x", tags=["a"], birthday=date(2000, 1, 1))
    owner.clock.advance(5)
    same = owner.update(contact.id, name="x", tags=["a"], birthday=date(2000, 1, 1))
    assert (same.version, same.updated_at) == (1, contact.created_at)


def test_a_cleared_name_is_made_anew_or_refused(owner: Owner) -> None:
    contact = owner.create(name="x", given_name="Ada")
    assert owner.update(contact.id, name=None).name == "Ada"
    with pytest.raises(FieldErrors):
        owner.update(contact.id, name=None, given_name=None)
    assert owner.get(contact.id).name == "Ada"


def test_only_the_version_the_caller_knows_is_changed(owner: Owner) -> None:
    contact = owner.create(name="x")
    assert owner.update(contact.id, {1}, name="y").version == 2
    with pytest.raises(ContactChanged, match="version 2 now"):
        owner.update(contact.id, {1, 3}, name="z")
    with pytest.raises(ContactChanged):
        owner.delete(contact.id, {1})
    with pytest.raises(ContactChanged):
        owner.delete(contact.id, set())
    owner.delete(contact.id, {1, 2})


def test_an_update_onto_a_taken_external_id_is_refused(owner: Owner) -> None:
    owner.create(external_id="1", name="x")
    other = owner.create(external_id="2", name="y")
    with pytest.raises(ContactExists):
        owner.update(other.id, external_id="1")
    assert owner.get(other.id).external_id == "2"


def test_a_deleted_contact_is_gone_for_everything_but_restoring(owner: Owner) -> None:
    contact = owner.create(name="x", external_id="1")
    owner.delete(contact.id)
    for attempt in (owner.get, owner.update, owner.delete):
        with pytest.raises(ContactNotFound):
            attempt(contact.id)
    assert owner.list()[0] == []
    owner.clock.advance(1)
    restored = owner.restore(contact.id)
    assert (restored.version, restored.deleted_at, restored.updated_at) == (3, None, owner.clock.now)
    assert owner.list()[0] == ["x"]
    assert owner.restore(contact.id).version == 3  # a live one stays as it is


def test_a_deleted_contact_s_external_id_is_free_until_it_is_restored(owner: Owner) -> None:
    contact = owner.create(name="x", external_id="1")
    owner.delete(contact.id)
    successor = owner.create(name="y", external_id="1")
    with pytest.raises(ContactExists):
        owner.restore(contact.id)
    owner.delete(successor.id)
    assert owner.restore(contact.id).external_id == "1"
    with pytest.raises(ContactExists):
        owner.restore(successor.id)
