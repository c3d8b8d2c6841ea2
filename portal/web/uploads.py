"""Large uploads, read as they arrive: flat memory, no spool file, the forgery token checked before the first byte."""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO
from urllib.parse import unquote

from flask import Response, jsonify, redirect, request
from flask_wtf.csrf import CSRFError, validate_csrf
from werkzeug.exceptions import BadRequest
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData
from wtforms import ValidationError

from portal.domain.errors import Invalid, TooLarge

CHUNK = 1 << 18
FORM_OVERHEAD = 1 << 17  # boundaries, part headers and text fields around the file
MAX_FIELD = 1 << 16
DRAINED = 1 << 26
MAX_PARTS = 16


@dataclass(frozen=True, slots=True)
class Incoming:
    """One file on its way in. ``stream`` is read once, to its end; ``filename`` is the sender's word, for show only."""

    stream: BinaryIO
    filename: str
    fields: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def receive(limit: int, *, forgery_check: bool = True) -> Iterator[Incoming]:
    """The file in the body of this request: raw (name in ``X-Filename``), or the last part of a multipart form.

    Raises TooLarge when the body is announced larger than ``limit`` bytes (the reader of the stream enforces the rest),
    Invalid when there is no file, BadRequest when the form is broken, CSRFError without a valid forgery token.
    """
    if (request.content_length or 0) > limit + FORM_OVERHEAD:
        _drain(request.content_length or 0)
        raise TooLarge(limit)
    request.max_content_length = limit + FORM_OVERHEAD
    if request.mimetype == "multipart/form-data":
        yield _from_form(forgery_check)
    else:
        yield _from_body(forgery_check)


def answer(url: str) -> Response:
    """After an upload: where the result is, as a redirect, or as JSON for a script that asked for it."""
    best = request.accept_mimetypes.best_match(["text/html", "application/json"], default="text/html")
    if best == "application/json":
        response = jsonify(location=url)
        response.status_code = 201
        response.headers["Location"] = url
        return response
    return Response(status=303, headers={"Location": redirect(url).location})


def header_text(name: str) -> str:
    """A request header that carries percent-encoded UTF-8 text."""
    return unquote(request.headers.get(name, ""), errors="replace")


def _from_body(forgery_check: bool) -> Incoming:
    if forgery_check:
        _check_forgery(request.headers.get("X-CSRFToken"))
    name = header_text("X-Filename")
    if not name or not (request.content_length or request.environ.get("wsgi.input_terminated")):
        raise Invalid({"file": "Choose a file to upload."})
    whole = io.BufferedReader(_WholeBody(request.stream, request.content_length), CHUNK)  # type: ignore[arg-type]
    return Incoming(whole, name, {"note": header_text("X-Note")})


def _from_form(forgery_check: bool) -> Incoming:
    parts = _Parts(request.stream, request.mimetype_params.get("boundary", "").encode())  # type: ignore[arg-type]
    fields: dict[str, str] = {}
    while True:
        event = parts.next()
        if isinstance(event, Field):
            fields[event.name] = parts.text()
        elif isinstance(event, File) and event.filename:
            if forgery_check:
                _check_forgery(request.headers.get("X-CSRFToken") or fields.get("csrf_token"))
            return Incoming(io.BufferedReader(_PartStream(parts), CHUNK), event.filename, fields)
        elif isinstance(event, Epilogue):
            if forgery_check:
                _check_forgery(request.headers.get("X-CSRFToken") or fields.get("csrf_token"))
            raise Invalid({"file": "Choose a file to upload."})


def _drain(announced: int) -> None:
    """Read on for a while, so that a client that is still sending gets to see the refusal instead of a broken line."""
    left = min(announced, DRAINED)
    while left > 0 and (block := request.environ["wsgi.input"].read(min(CHUNK, left))):
        left -= len(block)


def _check_forgery(token: str | None) -> None:
    try:
        validate_csrf(token)
    except ValidationError as error:
        raise CSRFError(str(error)) from None


class _WholeBody(io.RawIOBase):
    """The bytes of a raw body; an end before the announced length is a broken line, never the end of the file."""

    def __init__(self, stream: BinaryIO, announced: int | None) -> None:
        self._stream = stream
        self._left = announced

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        taken = self._stream.read(len(buffer))
        buffer[: len(taken)] = taken
        if self._left is not None:
            self._left -= len(taken)
            if not taken and self._left > 0:
                raise BadRequest("The line broke before the whole file had arrived. Send it again.")
        return len(taken)


class _Parts:
    """Events of a multipart body, pulled from the socket as they are asked for."""

    def __init__(self, stream: BinaryIO, boundary: bytes) -> None:
        if not boundary:
            raise BadRequest("The form has no boundary.")
        self._stream = stream
        self._decoder = MultipartDecoder(boundary, max_form_memory_size=4 * CHUNK, max_parts=MAX_PARTS)

    def next(self) -> Event:
        try:
            while isinstance(event := self._decoder.next_event(), NeedData):
                self._decoder.receive_data(self._stream.read(CHUNK) or None)
        except ValueError:
            raise BadRequest("The form ended before its last part. Send the file again.") from None
        return event

    def text(self) -> str:
        found = bytearray()
        while isinstance(event := self.next(), Data):
            found += event.data
            if len(found) > MAX_FIELD:
                raise TooLarge(MAX_FIELD)
            if not event.more_data:
                break
        return found.decode("utf-8", errors="replace")


class _PartStream(io.RawIOBase):
    """The bytes of one part."""

    def __init__(self, parts: _Parts) -> None:
        self._parts = parts
        self._rest = b""
        self._more = True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest and self._more:
            event = self._parts.next()
            if not isinstance(event, Data):
                raise BadRequest("The form ended before its last part. Send the file again.")
            self._rest, self._more = bytes(event.data), event.more_data
        taken = self._rest[: len(buffer)]
        self._rest = self._rest[len(taken) :]
        buffer[: len(taken)] = taken
        return len(taken)
