"""Settings: typed, complete, or the instance refuses to start."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import ValidationError

from portal.settings import Settings


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"MOTHERLODE_{name.upper()}", raising=False)
    monkeypatch.setenv("MOTHERLODE_DATA", str(tmp_path))


def test_everything_lies_in_the_data_folder_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.from_env()
    assert settings.url == f"sqlite:///{tmp_path / 'motherlode.db'}"
    assert (settings.store_root, settings.scratch_root) == (tmp_path / "blobs", tmp_path / "scratch")
    assert settings.hosts == ("127.0.0.1",)
    monkeypatch.setenv("MOTHERLODE_ALLOWED_HOSTS", "a.example, b.example")
    assert Settings.from_env().hosts == ("a.example", "b.example")


def test_a_key_is_made_once_also_when_many_start_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: Settings.from_env().secret_key.get_secret_value(), range(16)))
    assert len(keys) == 1
    assert len(keys.pop()) == 64
    assert stat.S_IMODE((tmp_path / "secret_key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]


@pytest.mark.parametrize(
    ("name", "value"), [("SECRET_KEY", "short"), ("HTTPS", "maybe"), ("LEASE_SECONDS", "15"), ("UPLOAD_MAX_BYTES", "0")]
)
def test_a_wrong_value_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"MOTHERLODE_{name}", value)
    with pytest.raises(ValidationError):
        Settings.from_env()


def test_no_setting_of_the_portal_opens_truth_and_none_is_printed() -> None:
    assert not [name for name in Settings.model_fields if "truth" in name and "key" in name]
    settings = Settings.from_env()
    assert settings.secret_key.get_secret_value() not in repr(settings)
