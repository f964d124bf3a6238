"""Idempotency-Key: a POST that a client repeats, because it got no answer, is done once and answered alike.

A route declares `idempotent=True`, and its handler does what it does within `write_once`:

    @notes.post("", access=require("notes:write"), body=NewNote, response=NoteView, status=201, idempotent=True)
    def create_note(body: NewNote) -> Response:
        owner_id = current_principal().user_id
        return write_once(lambda session: _created(use_cases.create_note(session, owner_id, body.text)))

Key, hash of the request and answer are committed with what the request did: there is no moment at which one is there
without the other. A request that is refused leaves nothing behind, its key neither: mended, it may use that again.
(draft-ietf-httpapi-idempotency-key-header has a server repeat errors too. What it has in mind are operations that
failed when they were done; here one that fails was not done, and asking again is as safe as the first time.)
"""

import re
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import Any

from flask import Request, Response, g
from sqlalchemy import Connection
from structlog.contextvars import bind_contextvars
from werkzeug.datastructures import Headers
from werkzeug.wrappers import Response as WerkzeugResponse

from common.access import current_principal
from common.clock import utc_now
from common.db.retry import run_statement, run_write
from common.db.sessions import WriteSession
from common.idempotency import Answer, IdempotencyKeyInvalid, KeyUse, keep_answer, take_key
from common.idempotency.table import MAX_KEY_LENGTH
from common.web.context import this_request
from common.web.sessions import current_database

KEY_HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotent-Replayed"
"""Of an answer that was given before. The draft names none; this is Stripe's, which many have taken over."""

Respond = Callable[[Any], WerkzeugResponse]
View = Callable[..., WerkzeugResponse]

_KEY = re.compile(rf"[ -~]{{1,{MAX_KEY_LENGTH}}}")
_MADE_ANEW = frozenset({"content-length"})


class _KeyedRequest:
    """What `write_once` has to know of the request at hand; `key` None: the client sent none."""

    def __init__(self, key: str | None, respond: Respond, *, has_body: bool) -> None:
        self.key = key
        self.respond = respond
        self.has_body = has_body
        self.has_written = False


def taking_keys(view: View, endpoint: str, respond: Respond, *, has_body: bool) -> View:
    """Return the view of a route that takes keys. A key of the wrong form is refused before the body is read.

    `respond` turns what a handler returns into a response. Raises RuntimeError where the handler did not use
    `write_once`: the key would have meant nothing.
    """

    def keyed(**arguments: Any) -> WerkzeugResponse:
        g.keyed_request = keyed_request = _KeyedRequest(_read_key(this_request()), respond, has_body=has_body)
        response = view(**arguments)
        if not keyed_request.has_written:
            raise RuntimeError(f"{endpoint} has idempotent=True, but its handler does not use write_once")
        return response

    return keyed


def write_once(
    work: Callable[[WriteSession], Any],
    *,
    content_hash: bytes | None = None,
    as_statement: Callable[[Connection], Any] | None = None,
) -> WerkzeugResponse:
    """Run `work` as `run_write` does and return its answer; with a key that was used before return that answer.

    `work` returns what a handler would; it is done and answered in one transaction with the key. A handler that reads
    the body itself gives the hash of what it read. `as_statement` is the same work for `run_statement`, which a request
    without a key gets where one statement, which recognises what it did before, is all there is to write.
    Raises IdempotencyKeyReused and IdempotencyKeyInUse.
    """
    request: _KeyedRequest | None = g.get("keyed_request")
    if request is None:
        raise RuntimeError("write_once is for handlers of routes with idempotent=True")
    request.has_written = True
    if request.key is None and as_statement:
        return request.respond(run_statement(current_database(), as_statement))
    if request.key is None:
        return request.respond(run_write(current_database(), work))
    use = _use_of(this_request(), request.key, _content_hash(request, content_hash))
    return run_write(current_database(), partial(_do_once, use=use, work=work, respond=request.respond))


def _do_once(
    session: WriteSession, use: KeyUse, work: Callable[[WriteSession], Any], respond: Respond
) -> WerkzeugResponse:
    if (answer := take_key(session, use, now=utc_now())) is not None:
        return _replay(answer)
    with session.commit_held():
        response = respond(work(session))
    if session.commit_wanted:
        keep_answer(session, use, _answer_of(response))
        session.commit()
    return response


def _read_key(request: Request) -> str | None:
    sent: str | None = request.environ.get("HTTP_IDEMPOTENCY_KEY")
    if sent is None:
        return None
    key = sent.strip(" \t")
    if not _KEY.fullmatch(key):
        raise IdempotencyKeyInvalid(f"{KEY_HEADER} takes 1 to {MAX_KEY_LENGTH} printable ASCII characters.")
    return key


def _content_hash(request: _KeyedRequest, given: bytes | None) -> bytes:
    if given is not None:
        return given
    if not request.has_body:
        raise RuntimeError("write_once needs content_hash= where the route declares no body: what makes two alike?")
    return sha256(this_request().get_data()).digest()


def _use_of(request: Request, key: str, content_hash: bytes) -> KeyUse:
    """The whole address counts beside the content: a rule may have parameters."""
    address = f"{request.path}?".encode() + request.query_string
    request_hash = sha256(sha256(address).digest() + content_hash).digest()
    rule = "" if request.url_rule is None else request.url_rule.rule
    return KeyUse(current_principal().user_id, f"{request.method} {rule}", key, request_hash)


def _answer_of(response: WerkzeugResponse) -> Answer:
    headers = {name: value for name, value in response.headers if name.lower() not in _MADE_ANEW}
    return Answer(response.status_code, headers, response.get_data())


def _replay(answer: Answer) -> WerkzeugResponse:
    bind_contextvars(idempotent_replay=True)
    response = Response(answer.body, answer.status)
    response.headers = Headers({**answer.headers, REPLAYED_HEADER: "true"})
    return response
