"""Files of a release; a ledger line before the first byte."""

import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from portal.domain.errors import NotFound
from portal.domain.permissions import Actor
from portal.domain.views import Download, FileView, ReleaseView
from portal.services import gates
from portal.services.context import Context
from portal.store import challenges
from portal.store.tables import Challenge, DownloadLine


def listing(ctx: Context, *, actor: Actor | None, slug: str) -> ReleaseView:
    """Names, sizes and digests of the newest release; public, unlike the bytes.

    Raises:
        NotFound: there is no such challenge.
    """
    with ctx.reading() as session:
        return release_view(session, gates.enter(ctx, session, actor, slug).challenge)


def fetch(ctx: Context, *, actor: Actor, slug: str, path: str | None) -> Download:
    """One file of the newest release, or the whole of it as a zip when ``path`` is None. Writes the ledger line.

    Raises:
        NotFound: no such challenge or file.
        AgreementNeeded: the agreement in force is not signed.
        Forbidden: the token has no scope for it.
    """
    with ctx.writing() as session:
        room = gates.enter(ctx, session, actor, slug)
        room.require(actor, "download")
        release = challenges.release(session, room.challenge.id)
        if path is None:
            name, digest, size = f"{slug}-{release.version}.zip", release.zip_digest, release.zip_bytes
        else:
            file = next((file for file in challenges.release_files(session, release.id) if file.path == path), None)
            if file is None:
                raise NotFound("file")
            name, digest, size = path.rsplit("/", 1)[-1], file.sha256, file.bytes
        line = DownloadLine(
            user_id=uuid.UUID(actor.id), release_id=release.id, path=path, sha256=digest, bytes=size, at=room.now
        )
        line.agreement_id = room.agreement.id if room.standing.signed else None
        session.add(line)
    return Download(digest, ctx.blobs.path(digest), name, size)


def layer(ctx: Context, *, actor: Actor | None, slug: str, name: str) -> Download:
    """The preview of a public layer for the map.

    Previews show the data themselves, so they too follow the signature.

    Raises:
        NotFound: no such challenge or layer.
        NotSignedIn, AgreementNeeded, Forbidden: as for files.
    """
    known = gates.signed_in(actor)
    with ctx.reading() as session:
        room = gates.enter(ctx, session, known, slug)
        room.require(known, "download")
    found = next((item for item in room.challenge.layers if layer_name(item) == name), None)
    if found is None:
        raise NotFound("layer")
    digest = found["artifact"]
    return Download(digest, ctx.blobs.path(digest), name, ctx.blobs.size(digest))


def layer_name(layer: Mapping[str, Any]) -> str:
    """The file name a layer's preview goes by, such as ``faults-1a2b3c4d.geojson``."""
    ending = "png" if layer["kind"] == "raster" else "geojson"
    return f"{layer['name']}-{str(layer['artifact'])[:8]}.{ending}"


def release_view(session: Session, challenge: Challenge) -> ReleaseView:
    """The newest release of a challenge."""
    release = challenges.release(session, challenge.id)
    files = tuple(
        FileView(file.path, file.bytes, file.sha256) for file in challenges.release_files(session, release.id)
    )
    return ReleaseView(
        version=release.version,
        published_at=release.published_at,
        manifest_digest=release.manifest_digest,
        total_bytes=sum(file.bytes for file in files),
        files=files,
        zip_bytes=release.zip_bytes,
        zip_sha256=release.zip_digest,
    )
