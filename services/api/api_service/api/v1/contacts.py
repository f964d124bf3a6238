"""The caller's contacts."""

import re
from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from common.access import current_principal, require
from common.clock import utc_now
from common.db import WriteSession, run_write
from common.db.paging import LimitQuery, Page, encode_cursor
from common.redprint import Redprint
from common.web.idempotency import write_once
from common.web.sessions import current_database, read_session
from contacts.models import Contact
from contacts.use_cases import contacts as use_cases
from flask import request, url_for
from werkzeug.wrappers import Response

from api_service.views.contacts import ContactChanges, ContactView, NewContact

contacts = Redprint("contacts")

T = TypeVar("T")
Answer = tuple[ContactView, int, dict[str, str]]
_VERSION_TAG = re.compile('"([1-9][0-9]{0,8})"')  # as `_answer` writes them; a version is an INT


@contacts.get("", access=require("contacts:read"), query=LimitQuery, response=Page[ContactView])
def list_contacts(query: LimitQuery) -> Page[ContactView]:
    """List the caller's contacts, oldest first."""
    rows, last = use_cases.list_contacts(read_session(), current_principal().user_id, query.limit, query.after)
    items = [ContactView.model_validate(row) for row in rows]
    return Page[ContactView](items=items, next_cursor=last and encode_cursor(last))


@contacts.post("", access=require("contacts:write"), body=NewContact, response=ContactView, status=201, idempotent=True)
def create_contact(body: NewContact) -> Response:
    """Create a contact."""
    owner_id = current_principal().user_id
    return write_once(
        lambda session: _created(use_cases.create_contact(session, owner_id, body.fields(), now=utc_now()))
    )


@contacts.get("/<uuid:contact_id>", access=require("contacts:read"), response=ContactView)
def show_contact(contact_id: UUID) -> Answer:
    """Show a contact."""
    return _answer(use_cases.get_contact(read_session(), current_principal().user_id, contact_id))


@contacts.patch("/<uuid:contact_id>", access=require("contacts:write"), body=ContactChanges, response=ContactView)
def update_contact(contact_id: UUID, body: ContactChanges) -> Answer:
    """Change some fields of a contact; null clears one. With If-Match only the version it names."""
    owner_id, expected = current_principal().user_id, _expected_versions()
    return _answer(
        _write(
            lambda session: use_cases.update_contact(
                session, owner_id, contact_id, body.fields(), now=utc_now(), expected_versions=expected
            )
        )
    )


@contacts.delete("/<uuid:contact_id>", access=require("contacts:write", revocation="strict"))
def delete_contact(contact_id: UUID) -> None:
    """Delete a contact; it can be restored. With If-Match only the version it names."""
    owner_id, expected = current_principal().user_id, _expected_versions()
    _write(
        lambda session: use_cases.delete_contact(
            session, owner_id, contact_id, now=utc_now(), expected_versions=expected
        )
    )


@contacts.post("/<uuid:contact_id>/restore", access=require("contacts:write"), response=ContactView)
def restore_contact(contact_id: UUID) -> Answer:
    """Bring a deleted contact back, unless its external_id was taken meanwhile."""
    owner_id = current_principal().user_id
    return _answer(_write(lambda session: use_cases.restore_contact(session, owner_id, contact_id, now=utc_now())))


def _write(use_case: Callable[[WriteSession], T]) -> T:
    return run_write(current_database(), use_case)


def _answer(contact: Contact | use_cases.ContactRow) -> Answer:
    return ContactView.model_validate(contact), 200, {"ETag": f'"{contact.version}"'}


def _created(contact: Contact) -> Answer:
    view, _, headers = _answer(contact)
    return view, 201, headers | {"Location": url_for(".show_contact", contact_id=contact.id)}


def _expected_versions() -> frozenset[int] | None:
    """The versions If-Match names (RFC 9110 section 13.1.1); None without it, and for `*`, which any version meets."""
    header = request.headers.get("If-Match", "*").strip()
    if header == "*":
        return None
    # Anything but a tag of ours is the tag of no version: a weak one, one without quotes, an empty one.
    found = (_VERSION_TAG.fullmatch(tag.strip()) for tag in header.split(","))
    return frozenset(int(tag[1]) for tag in found if tag)
