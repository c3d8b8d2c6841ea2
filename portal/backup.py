"""One archive of everything an instance must not lose, and the way back.

The database is copied first, then the blobs: a blob is durable before any row names it and is never changed, so the
copy is whole although the instance goes on working.
"""

import os
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path

from sqlalchemy.engine import make_url

from datasets.errors import MotherlodeError
from datasets.store import TEMPORARY
from portal.settings import Settings

SQLITE, POSTGRES = "database.sqlite", "database.dump"
KEYS = ("keys", "secret_key")


class BackupError(MotherlodeError):
    """A backup cannot be written or brought back; the message says why and what was left untouched."""


def backup(settings: Settings, target: Path, *, with_keys: bool = True) -> int:
    """Write database, blobs and keys to ``target`` (tar, mode 0600); returns its size in bytes.

    Raises:
        BackupError: ``target`` exists, or the database could not be copied.
    """
    if target.exists():
        raise BackupError(f"{target} exists; a backup never overwrites anything")
    part = target.with_name(target.name + ".part")
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        database = _copy_database(settings, Path(folder))
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file, tarfile.open(fileobj=file, mode="w|") as archive:
            archive.add(database, database.name)
            archive.add(settings.store_root, "blobs", filter=_finished)
            for name in KEYS if with_keys else ():
                if (settings.data / name).exists():
                    archive.add(settings.data / name, name)
    with part.open("rb") as written:
        os.fsync(written.fileno())
    part.replace(target)
    return target.stat().st_size


def restore(settings: Settings, source: Path) -> None:
    """Bring an archive back into an empty data folder and, with PostgreSQL, an empty database.

    Raises:
        BackupError: the data folder is not empty, or the archive is not a backup of this kind of database.
    """
    if settings.data.exists() and any(settings.data.iterdir()):
        raise BackupError(f"{settings.data} is not empty; restore only into an empty data folder")
    if settings.store_root.exists() and any(settings.store_root.iterdir()):
        raise BackupError(f"{settings.store_root} is not empty; restore only into an empty blob store")
    settings.data.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.data) as folder:
        try:
            with tarfile.open(source) as archive:
                _extract(archive, Path(folder))
        except (tarfile.TarError, OSError) as error:
            raise BackupError(f"{source} is not a whole backup ({error}); nothing was restored") from error
        _restore_database(settings, Path(folder))
        settings.store_root.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(Path(folder) / "blobs", settings.store_root)
        for name in KEYS:
            if (Path(folder) / name).exists():
                shutil.move(Path(folder) / name, settings.data / name)


def _extract(archive: tarfile.TarFile, folder: Path) -> None:
    """Plain files and folders only, none outside ``folder`` (the data filter of newer tarfile modules)."""
    for member in archive:
        target = (folder / member.name).resolve()
        if not target.is_relative_to(folder.resolve()) or not (member.isreg() or member.isdir()):
            raise tarfile.ExtractError(f"{member.name!r} does not belong into a backup")
        archive.extract(member, folder, set_attrs=False)
        target.chmod(0o700 if member.isdir() else 0o600)


def _finished(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Everything but half-written uploads."""
    return None if member.name.startswith(f"blobs/{TEMPORARY}/") else member


def _copy_database(settings: Settings, folder: Path) -> Path:
    url = make_url(settings.url)
    if url.get_backend_name() == "sqlite":
        target = folder / SQLITE
        with (
            closing(sqlite3.connect(f"file:{url.database}?mode=ro", uri=True)) as live,
            closing(sqlite3.connect(target)) as copy,
        ):
            live.backup(copy)
        return target
    target = folder / POSTGRES
    _run(settings, "pg_dump", "--format=custom", f"--file={target}")
    return target


def _restore_database(settings: Settings, folder: Path) -> None:
    url = make_url(settings.url)
    wanted = SQLITE if url.get_backend_name() == "sqlite" else POSTGRES
    if not (folder / wanted).is_file():
        raise BackupError(
            f"the archive holds no {wanted}: it was made on another kind of database; nothing was restored"
        )
    if wanted == SQLITE:
        target = Path(url.database or "")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(folder / SQLITE, target)
    else:
        _run(settings, "pg_restore", "--no-owner", "--exit-on-error", str(folder / POSTGRES))


def _run(settings: Settings, program: str, *arguments: str) -> None:
    url = make_url(settings.url).set(drivername="postgresql")
    password = {"PGPASSWORD": url.password} if url.password else {}
    address = url.set(password=None).render_as_string(hide_password=False)
    command = [program, *arguments, f"--dbname={address}"]
    try:
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, **password})
    except FileNotFoundError as error:
        raise BackupError(f"{program} is not on this machine; install PostgreSQL's client programs") from error
    except subprocess.CalledProcessError as error:
        raise BackupError(f"{program} failed: {error.stderr.decode(errors='replace').strip()}") from error
