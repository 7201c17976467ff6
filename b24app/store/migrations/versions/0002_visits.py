"""Visits, and the measurers' time that they take."""

import sqlalchemy as sa
from alembic import op

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
AGREED = sa.text("state IN ('booked', 'confirming', 'confirmed')")

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "visits",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("member_id", sa.String(length=64), nullable=False),
        sa.Column("entity", sa.String(length=96), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("work", sa.String(length=40), nullable=False),
        sa.Column("measurer_id", sa.BigInteger(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("shown", sa.String(length=16), nullable=False),
        sa.Column("title", sa.String(length=255), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("address_given", sa.Boolean(), nullable=False),
        sa.Column("zone", sa.String(length=40), nullable=False),
        sa.Column("latitude", sa.Float(), nullable=True),
        sa.Column("longitude", sa.Float(), nullable=True),
        sa.Column("booked_by", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("agreed", sa.Boolean(), nullable=False),
        sa.Column("hold_until", sa.BigInteger(), nullable=True),
        sa.Column("confirm_at", sa.BigInteger(), nullable=True),
        sa.Column("told", sa.Integer(), nullable=False),
        sa.Column("calendar_id", sa.BigInteger(), nullable=True),
        sa.Column("entry_delivery", sa.BigInteger(), nullable=True),
        sa.Column("problem", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_visits")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_visits_member_id_entity", "visits", ["member_id", "entity"])
    op.create_index("ix_visits_member_id_measurer_id_starts_at", "visits", ["member_id", "measurer_id", "starts_at"])
    op.create_index(
        "uq_visits_agreed",
        "visits",
        ["member_id", "entity"],
        unique=True,
        sqlite_where=AGREED,
        postgresql_where=AGREED,
    )
    op.create_table(
        "visit_cells",
        sa.Column("member_id", sa.String(length=64), nullable=False),
        sa.Column("measurer_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("cell", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("visit_id", KEY, nullable=False),
        sa.ForeignKeyConstraint(["visit_id"], ["visits.id"], name=op.f("fk_visit_cells_visit_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("member_id", "measurer_id", "cell", name=op.f("pk_visit_cells")),
    )
    op.create_index(op.f("ix_visit_cells_visit_id"), "visit_cells", ["visit_id"])
