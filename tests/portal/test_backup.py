"""A backup taken while the instance works holds everything that was acknowledged."""

from pathlib import Path

import pytest
from sqlalchemy import text

from portal.backup import BackupError, backup, restore
from portal.services import ranking, submitting
from portal.services.context import open_context
from tests.portal.town import Town, settings_for


def test_there_and_back(both: Town, tmp_path: Path, empty_database_url: str) -> None:
    both.publish()
    expert = both.expert("Expert A")
    entry = both.send(expert, "1.5")
    both.score_all()
    before = ranking.board(both.ctx, actor=None, slug="grades").rows
    (both.ctx.settings.data / "keys").mkdir(exist_ok=True)
    (both.ctx.settings.data / "keys" / "engine.key").write_text("secret", encoding="ascii")

    archive = tmp_path / "instance.tar"
    assert backup(both.ctx.settings, archive) == archive.stat().st_size
    assert archive.stat().st_mode & 0o077 == 0

    target = settings_for(tmp_path / "again", empty_database_url)
    if empty_database_url.partition(":")[0] != both.ctx.settings.url.partition(":")[0]:
        with pytest.raises(BackupError, match="another kind of database"):
            restore(target, archive)
        return
    restore(target, archive)
    again = open_context(target, clock=both.clock)
    assert ranking.board(again, actor=None, slug="grades").rows == before
    assert submitting.entry(again, actor=expert, entry_id=entry.id).receipt == entry.receipt
    assert again.blobs.exists(entry.file_sha256)
    assert (target.data / "keys" / "engine.key").read_text(encoding="ascii") == "secret"
    assert (target.data / "keys" / "engine.key").stat().st_mode & 0o077 == 0
    again.close()


def test_keys_can_be_left_out(lite: Town, tmp_path: Path) -> None:
    (lite.ctx.settings.data / "secret_key").write_text("k" * 40, encoding="ascii")
    backup(lite.ctx.settings, tmp_path / "a.tar", with_keys=False)
    target = settings_for(tmp_path / "again", "")
    restore(target, tmp_path / "a.tar")
    assert not (target.data / "secret_key").exists()


def test_nothing_is_overwritten(lite: Town, tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    backup(lite.ctx.settings, archive)
    with pytest.raises(BackupError, match="never overwrites"):
        backup(lite.ctx.settings, archive)
    with pytest.raises(BackupError, match="not empty"):
        restore(lite.ctx.settings, archive)


def test_a_torn_archive_restores_nothing(lite: Town, tmp_path: Path) -> None:
    lite.publish()
    archive = tmp_path / "a.tar"
    backup(lite.ctx.settings, archive)
    torn = tmp_path / "torn.tar"
    torn.write_bytes(archive.read_bytes()[:20_000])
    target = settings_for(tmp_path / "again", "")
    with pytest.raises(BackupError, match="nothing was restored"):
        restore(target, torn)
    assert not list((tmp_path / "again").iterdir())


def test_the_copy_is_whole_while_a_writer_is_busy(lite: Town, tmp_path: Path) -> None:
    with lite.ctx.writing() as session:
        session.execute(text("select 1"))
        backup(lite.ctx.settings, tmp_path / "a.tar")
    assert (tmp_path / "a.tar").exists()
