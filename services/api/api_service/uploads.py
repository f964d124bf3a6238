"""Reading an upload: multipart/form-data (RFC 7578) as a stream, the file into a spool, small parts into texts.

Werkzeug's own form parser would do the same with every part it is sent, and only then would the service see that it
does not want them. Here unknown and repeated parts, a part that is too long and a file that is unfit from its first
bytes on end the reading at once.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, BinaryIO, cast

from common.errors import FieldError, FieldErrors
from contacts.errors import ImportTooLarge
from contacts.imports import HEAD_BYTES
from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from api_service.errors import MalformedMultipart, NotMultipart

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

FILE_PART = "file"
MAX_TEXT_BYTES = 16 * 1024
OVERHEAD_BYTES = 128 * 1024
"""What a body may have beyond its file: boundaries, headers, texts."""

_READ_BYTES = 64 * 1024
_MAX_HEADER_BYTES = 64 * 1024
_SPOOL_BYTES = 1024 * 1024  # beyond it the spool is a file on disk

CheckHead = Callable[[bytes], None]
"""Gets the first HEAD_BYTES of the file (all of a shorter one), once, and raises to refuse the upload."""


@dataclass
class Upload:
    """One file and the texts that came with it, by the names of their parts."""

    file: BinaryIO
    content_type: str = "application/octet-stream"
    texts: dict[str, str] = field(default_factory=dict)
    digest: "Hash" = field(default_factory=sha256)
    """Of the bytes of the file."""

    def content_hash(self) -> bytes:
        """The SHA-256 of file and texts: the same for two uploads that differ in the multipart boundary, say."""
        texts = json.dumps(self.texts, sort_keys=True).encode()
        return sha256(self.digest.digest() + texts).digest()


@contextmanager
def read_upload(request: Request, *, texts: frozenset[str], max_bytes: int, check_head: CheckHead) -> Iterator[Upload]:
    """Read the request's body: one part `file` and any of `texts`, each at most once. The file ends with the block.

    Raises NotMultipart, MalformedMultipart, FieldErrors naming the part, ImportTooLarge, and what `check_head` raises.
    """
    boundary = request.mimetype_params.get("boundary", "")
    if request.mimetype != "multipart/form-data" or not boundary:
        raise NotMultipart("The body has to be multipart/form-data with a part named file.")
    with SpooledTemporaryFile(max_size=_SPOOL_BYTES) as spool:
        upload = Upload(cast("BinaryIO", spool))
        reader = _PartReader(upload, texts, max_bytes, check_head)
        for event in _events(request, boundary.encode(), max_bytes):
            reader.take(event)
        reader.finish()
        yield upload


def _events(request: Request, boundary: bytes, max_bytes: int) -> Iterator[Event]:
    decoder = MultipartDecoder(boundary, max_form_memory_size=_READ_BYTES + _MAX_HEADER_BYTES)
    try:
        while not isinstance(event := decoder.next_event(), Epilogue):
            if isinstance(event, NeedData):
                decoder.receive_data(_read(request, max_bytes) or None)
            else:
                yield event
    except (ValueError, RequestEntityTooLarge) as error:
        raise MalformedMultipart("The body is not multipart/form-data (RFC 7578), or it ends too early.") from error


def _read(request: Request, max_bytes: int) -> bytes:
    try:
        return request.stream.read(_READ_BYTES)
    except RequestEntityTooLarge as error:
        raise ImportTooLarge(f"The body is larger than that of a file of {max_bytes} bytes.") from error


class _PartReader:
    """Puts the parts of one body where they belong, as they arrive."""

    def __init__(self, upload: Upload, texts: frozenset[str], max_bytes: int, check_head: CheckHead) -> None:
        self._upload = upload
        self._texts = texts
        self._max_bytes = max_bytes
        self._check_head = check_head
        self._seen: set[str] = set()
        self._part = ""
        self._text = bytearray()
        self._head: bytearray | None = bytearray()

    def take(self, event: Event) -> None:
        if isinstance(event, Field | File):
            self._open(event)
        elif isinstance(event, Data) and self._part == FILE_PART:
            self._take_file(event)
        elif isinstance(event, Data):
            self._take_text(event)

    def finish(self) -> None:
        """Called behind the last part."""
        if FILE_PART not in self._seen:
            raise _fault(FILE_PART, "missing", "The upload has no part of this name.")
        self._upload.file.seek(0)

    def _open(self, event: Field | File) -> None:
        name = event.name or ""
        if name != FILE_PART and name not in self._texts:
            raise _fault(name, "extra-forbidden", "This part is not known here.")
        if name in self._seen:
            raise _fault(name, "repeated", "This may be given once.")
        self._seen.add(name)
        self._part = name
        self._text.clear()
        if name == FILE_PART:
            self._upload.content_type = event.headers.get("Content-Type", self._upload.content_type)[:255]

    def _take_file(self, event: Data) -> None:
        file = self._upload.file
        file.write(event.data)
        self._upload.digest.update(event.data)
        if file.tell() > self._max_bytes:
            raise ImportTooLarge(f"The file is larger than {self._max_bytes} bytes.")
        if self._head is not None:
            self._head += event.data
            if len(self._head) >= HEAD_BYTES or not event.more_data:
                self._check_head(bytes(self._head[:HEAD_BYTES]))
                self._head = None

    def _take_text(self, event: Data) -> None:
        self._text += event.data
        if len(self._text) > MAX_TEXT_BYTES:
            raise _fault(self._part, "too-long", f"This has more than {MAX_TEXT_BYTES} bytes.")
        if not event.more_data:
            try:
                self._upload.texts[self._part] = self._text.decode()
            except UnicodeDecodeError as error:
                raise _fault(self._part, "not_utf8", "This is not UTF-8.") from error


def _fault(part: str, code: str, message: str) -> FieldErrors:
    return FieldErrors([FieldError(part, code, message)])
