"""Run by alembic with the connection that ``portal.store.migrate`` passes."""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import text

from portal.store.base import Instant
from portal.store.tables import Base

LOCK = 727_274


def render(kind: str, item: Any, _autogen: AutogenContext) -> str | Literal[False]:
    """Our column types by their own names in new migrations."""
    if kind == "type" and isinstance(item, Instant):
        return "Instant()"
    if kind == "type" and getattr(item, "none_as_null", False):
        return "Json"
    return False


def run() -> None:
    """Walk the history on the connection passed; other processes wait meanwhile."""
    connection = context.config.attributes["connection"]
    postgresql = connection.dialect.name == "postgresql"
    if postgresql:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": LOCK})
        connection.commit()
    options = context.config.attributes.get("options", {})
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=not postgresql,
        compare_type=True,
        transactional_ddl=True,
        render_item=render,
        **options,
    )
    with context.begin_transaction():
        context.run_migrations()
    if postgresql:
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK})
    connection.commit()


run()
