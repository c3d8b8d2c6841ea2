"""Sending stored files, the same from page and API: they resume, carry their digest, and never run in our origin."""

import re
import unicodedata
from pathlib import Path
from typing import cast
from urllib.parse import quote

from flask import Response, request, send_file
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.wsgi import wrap_file

from portal.domain.views import Download
from portal.web import access

PREVIEWS = {".png": "image/png", ".geojson": "application/geo+json", ".json": "application/json"}
CHUNK = 1 << 18
_UNSAFE = re.compile(r"[\x00-\x1f\x7f/\\]+")


def send(download: Download, *, inline: bool = False) -> Response:
    """The file with Range, ETag = sha256 and Content-Disposition.

    ``inline`` shows previews we made ourselves (PNG, GeoJSON); everything else is an attachment of unknown type.
    """
    name = safe_name(download.name)
    kind = PREVIEWS.get(name[name.rfind(".") :].lower()) if inline else None
    mimetype = kind or "application/octet-stream"
    response = _from_disk(download, mimetype) if download.local_path else _from_store(download, mimetype)
    response.headers.set("Content-Disposition", "inline" if kind else "attachment", **_filename(name))
    response.headers.pop("Last-Modified", None)  # the digest alone says whether it is the same file
    response.headers["Cache-Control"] = "private, no-cache" if kind else "private, no-store"
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def safe_name(name: str) -> str:
    """``name`` as one line without path separators, at most 150 characters, never empty."""
    return _UNSAFE.sub("_", name).strip(". ")[:150] or "file"


def _filename(name: str) -> dict[str, str]:
    """The name for old readers in ASCII, and as it is (RFC 8187) where that differs."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode() or "file"
    if ascii_name == name:
        return {"filename": name}
    return {"filename": ascii_name, "filename*": f"UTF-8''{quote(name, safe='')}"}


def _from_disk(download: Download, mimetype: str) -> Response:
    path = cast(Path, download.local_path).absolute()
    return send_file(path, mimetype=mimetype, conditional=True, etag=download.blob_digest, last_modified=None)


def _from_store(download: Download, mimetype: str) -> Response:
    stream = access.ctx().blobs.open(download.blob_digest)
    response = Response(wrap_file(request.environ, stream, CHUNK), mimetype=mimetype, direct_passthrough=True)
    response.content_length = download.size
    response.set_etag(download.blob_digest)
    try:
        response.make_conditional(request.environ, accept_ranges=True, complete_length=download.size)
    except RequestedRangeNotSatisfiable:
        stream.close()
        raise
    return response
