"""Facts stay: UPDATE and DELETE are refused where rows are facts, and no account but a sponsor's is overdrawn.

A later migration that rebuilds one of these tables on SQLite drops its triggers and has to make them again.

Revision ID: 0005
Revises: 0004
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

FACTS = (
    "posting", "ledger_account", "download_line", "score", "private_score", "ruling", "conflict_note", "signature", "event", "prize",
    "release", "release_file", "truth_version", "agreement",
)
BALANCE = """
    (SELECT COALESCE(SUM(CASE WHEN debit_id = NEW.credit_id THEN amount_minor ELSE -amount_minor END), 0)
     FROM posting WHERE debit_id = NEW.credit_id OR credit_id = NEW.credit_id)
"""
OWES = "(SELECT kind FROM ledger_account WHERE id = NEW.credit_id) <> 'sponsor'"


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _sqlite()
    else:
        _postgresql()


def downgrade() -> None:
    postgresql = op.get_bind().dialect.name == "postgresql"
    for table in FACTS:
        for what in ("update", "delete", "truncate") if postgresql else ("update", "delete"):
            op.execute(f"DROP TRIGGER {table}_no_{what}" + (f" ON {table}" if postgresql else ""))
    op.execute("DROP TRIGGER posting_covered" + (" ON posting" if postgresql else ""))
    if postgresql:
        op.execute("DROP FUNCTION motherlode_fact()")
        op.execute("DROP FUNCTION motherlode_covered()")


def _sqlite() -> None:
    for table in FACTS:
        for what in ("update", "delete"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{what} BEFORE {what.upper()} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} rows are facts and never change'); END"
            )
    op.execute(
        f"CREATE TRIGGER posting_covered BEFORE INSERT ON posting WHEN {OWES} AND {BALANCE} < NEW.amount_minor "
        "BEGIN SELECT RAISE(ABORT, 'the credited account does not hold this amount'); END"
    )


def _postgresql() -> None:
    op.execute(
        "CREATE FUNCTION motherlode_fact() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION '% rows are facts and never change', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    for table in FACTS:
        for what, each in (("update", "ROW"), ("delete", "ROW"), ("truncate", "STATEMENT")):
            op.execute(
                f"CREATE TRIGGER {table}_no_{what} BEFORE {what.upper()} ON {table} FOR EACH {each} EXECUTE FUNCTION motherlode_fact()"
            )
    op.execute(
        f"CREATE FUNCTION motherlode_covered() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {OWES} AND {BALANCE} < NEW.amount_minor THEN "
        "RAISE EXCEPTION 'the credited account does not hold this amount' USING ERRCODE = 'integrity_constraint_violation'; END IF; "
        "RETURN NEW; END $$"
    )
    op.execute("CREATE TRIGGER posting_covered BEFORE INSERT ON posting FOR EACH ROW EXECUTE FUNCTION motherlode_covered()")
