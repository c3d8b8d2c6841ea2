"""Settings of the portal: frozen, typed, complete or refuses to start. Read from ``MOTHERLODE_*``.

The key that opens sealed truth is no setting of the portal; the engine alone reads it.
"""

import contextlib
import os
import secrets
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Everything web, dispatcher and command line need to know. ``docs/operations.md`` describes each."""

    model_config = SettingsConfigDict(env_prefix="MOTHERLODE_", frozen=True, extra="ignore", env_ignore_empty=True)

    data: Path = Field(default=Path("var"), description="folder of everything the instance keeps")
    database_url: str = Field(default="", description="SQLAlchemy address; empty: SQLite in the data folder")
    secret_key: SecretStr = Field(default=SecretStr(""), description="signs sessions and receipts; ≥ 32 characters")
    base_url: str = Field(default="http://127.0.0.1:8000", description="address people see, for links in mail")
    store: Path | None = Field(default=None, description="blob store folder; default: data/blobs")
    scratch: Path | None = Field(default=None, description="folder for temporary files; default: data/scratch")
    truth_recipient: str = Field(default="", description="age public key that seals what only the engine opens")
    smtp_url: str = Field(default="", description="smtp://user:password@host:port; empty: mail stays in the outbox")
    mail_from: str = Field(default="motherlode@localhost", description="sender of mail")
    scheduler: str = Field(default="", description="Dask scheduler address; empty: embedded")
    allowed_hosts: str = Field(default="", description="comma-separated Host names served; empty: that of base_url")
    https: bool = Field(default=False, description="cookies are Secure and HSTS is sent")
    proxies: int = Field(
        default=0, ge=0, description="trusted proxies in front, whose X-Forwarded-For and -Proto count"
    )
    upload_max_bytes: int = Field(default=2_000_000_000, gt=0, description="largest sponsor upload")
    argon2_memory_kib: int = Field(default=19_456, ge=8)
    argon2_time: int = Field(default=2, ge=1)
    argon2_lanes: int = Field(default=1, ge=1)
    logins_at_once: int = Field(default=4, ge=1, description="password hashes computed at the same time, a process")
    session_idle_minutes: int = Field(default=120, ge=1)
    session_hours: int = Field(default=12, ge=1)
    lease_seconds: int = Field(default=30, ge=2)
    heartbeat_seconds: float = Field(default=10.0, gt=0)
    score_attempts: int = Field(default=5, ge=1)

    @field_validator("secret_key")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value() and len(value.get_secret_value()) < 32:
            raise ValueError(
                "MOTHERLODE_SECRET_KEY is shorter than 32 characters; make one with `openssl rand -hex 32`"
            )
        return value

    @model_validator(mode="after")
    def _lease_outlives_heartbeat(self) -> Self:
        if self.heartbeat_seconds * 2 > self.lease_seconds:
            raise ValueError("MOTHERLODE_LEASE_SECONDS must be at least twice MOTHERLODE_HEARTBEAT_SECONDS")
        return self

    @classmethod
    def from_env(cls) -> "Settings":
        """Read the environment. Without MOTHERLODE_SECRET_KEY a key is made once and kept in the data folder.

        Raises:
            pydantic.ValidationError: a value does not hold what it must.
        """
        settings = cls()
        if settings.secret_key.get_secret_value():
            return settings
        return settings.model_copy(update={"secret_key": SecretStr(_kept_key(settings.data / "secret_key"))})

    @property
    def url(self) -> str:
        """Database address in use."""
        return self.database_url or f"sqlite:///{(self.data / 'motherlode.db').absolute()}"

    @property
    def store_root(self) -> Path:
        return self.store or self.data / "blobs"

    @property
    def scratch_root(self) -> Path:
        return self.scratch or self.data / "scratch"

    @property
    def hosts(self) -> tuple[str, ...]:
        """Host names to answer for."""
        named = tuple(host.strip() for host in self.allowed_hosts.split(",") if host.strip())
        return named or (self.base_url.split("//", 1)[-1].split("/", 1)[0].rsplit(":", 1)[0],)


def _kept_key(path: Path) -> str:
    """The key in ``path``; made if missing. Of several processes starting at once all read the same one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32))
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)
        fresh.unlink()
    return path.read_text(encoding="ascii").strip()
