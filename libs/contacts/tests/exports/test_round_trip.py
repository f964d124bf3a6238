"""Exporting and importing again gives the same contacts, whatever is in them."""

from datetime import date
from typing import Any

import pytest
from common.clock import utc_now
from common.db import Database
from common.ids import new_id
from contacts import fields
from contacts.fields import FIELD_NAMES, make_name
from contacts.models import Contact
from contacts.testing import Exporter, Importer
from hypothesis import example, given, settings
from hypothesis import strategies as st

NASTY = [
    '"', '""', ",", "\n", "\r", "\r\n", "a\tb", "'", "\\", '\\"', "=1+1", "+49", "-1", "@x", "\ufeff", "\u2028", "\x85",
    "\u00a0x", "null", "NULL", "[]", "{}", "é", "e\u0301", "\U0001f469\u200d\U0001f680", "\u202e", "#", ";", "%s",
    "\\N",
]  # fmt: skip


def texts(longest: int) -> st.SearchStrategy[str | None]:
    """What a field may hold: stripped, never empty, None for nothing."""
    pieces = st.sampled_from(NASTY) | st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=8)
    joined = st.lists(pieces, max_size=5).map("".join)
    return joined.map(lambda text: text[:longest].strip() or None) | st.none()


# Made, not filtered: half of all texts are None, and Hypothesis refuses a strategy that throws most of it away.
tag = texts(fields.TAG_LENGTH).map(lambda text: text or "tag")
contacts = st.fixed_dictionaries(
    {
        "external_id": st.just(None),
        "name": texts(fields.NAME_LENGTH),
        "given_name": texts(fields.PART_OF_NAME_LENGTH),
        "family_name": texts(fields.PART_OF_NAME_LENGTH),
        "email": st.sampled_from([None, "a@b.de", "ünï@exämple.org", "'@b.c"]),
        "phone": texts(fields.PHONE_LENGTH),
        "organization": texts(fields.ORGANIZATION_LENGTH),
        "address": texts(fields.ADDRESS_LENGTH),
        "url": st.sampled_from([None, 'https://a.b/c?d="e",f', "HTTP://X"]),
        "birthday": st.none() | st.dates(min_value=date(1000, 1, 1)),
        "tags": st.lists(tag, max_size=3, unique=True),
        "notes": texts(fields.NOTES_LENGTH),
    }
)


def named(row: dict[str, Any]) -> dict[str, Any]:
    """As the use cases store it: with a name, made of the parts where it is empty."""
    return {**row, "name": make_name(row["name"], row["given_name"], row["family_name"]) or "x"}


def store(database: Database, rows: list[dict[str, Any]]) -> Importer:
    owner, now = Importer(database), utc_now()
    with database.write() as session:
        for row in rows:
            own = {"id": new_id(), "owner_id": owner.owner_id, "version": 1, "created_at": now, "updated_at": now}
            session.add(Contact(**row, **own))
        session.commit()
    return owner


def read_back(importer: Importer) -> list[dict[str, Any]]:
    return [{name: getattr(contact, name) for name in FIELD_NAMES} for contact in importer.contacts()]


def longest(character: str) -> dict[str, Any]:
    """A contact that is as long as one may be."""
    return {
        "external_id": None,
        "name": character * fields.NAME_LENGTH,
        "given_name": character * fields.PART_OF_NAME_LENGTH,
        "family_name": character * fields.PART_OF_NAME_LENGTH,
        "email": None,
        "phone": character * fields.PHONE_LENGTH,
        "organization": character * fields.ORGANIZATION_LENGTH,
        "address": character * fields.ADDRESS_LENGTH,
        "url": None,
        "birthday": date(9999, 12, 31),
        "tags": [f"{n:02}" + character * (fields.TAG_LENGTH - 2) for n in range(fields.MAX_TAGS)],
        "notes": character * fields.NOTES_LENGTH,
    }


@settings(max_examples=40)
@pytest.mark.parametrize("file_format", ["csv", "ndjson"])
@given(rows=st.lists(contacts, min_size=1, max_size=5), has_ids=st.booleans())
@example(rows=[longest('"')], has_ids=True)
@example(rows=[longest("\U0001f680")], has_ids=True)
@example(rows=[longest("\\")], has_ids=False)
def test_contacts_exported_and_imported_are_the_same_contacts(
    database: Database, file_format: str, rows: list[dict[str, Any]], has_ids: bool
) -> None:
    # An external id is any text too; the number keeps them apart.
    rows = [
        {**named(row), "external_id": f"{row['phone'] or ''}{n}" if has_ids else None} for n, row in enumerate(rows)
    ]
    owner, other = store(database, rows), Importer(database)
    exporter = Exporter(database, owner.owner_id)
    assert exporter.run(file_format).rows == len(rows)
    data = exporter.files[f"contacts.{file_format}"]
    result = other.run(data)
    assert (result.created, result.rejected, result.ignored_columns, other.errors) == (len(rows), 0, [], b"")
    assert read_back(other) == read_back(owner) == rows
    twin = Exporter(database, other.owner_id)
    twin.run(file_format)
    assert twin.files == exporter.files
    if has_ids:  # imported over themselves, nothing changes
        again = owner.run(data, on_conflict="update")
        assert (again.skipped, again.rows) == (len(rows), len(rows))
