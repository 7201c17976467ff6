"""The tables, in SQLAlchemy Core. Columns in words of the platform; every time is an aware UTC datetime.

Alembic brings a database here (migrations/); this file is what the code reads and writes by.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Moment(sa.types.TypeDecorator[datetime]):
    """An aware datetime, kept as UTC microseconds: sorts and compares the same way in every database."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive time: {value}")
        return round(value.timestamp() * 1_000_000)

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else datetime.fromtimestamp(value / 1_000_000, UTC)


Key = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # SQLite numbers rows only in an INTEGER key

portals = sa.Table(
    "portals",
    metadata,
    sa.Column("member_id", sa.String(64), primary_key=True),
    sa.Column("client_id", sa.String(128), nullable=False, unique=True),
    sa.Column("host", sa.String(255), nullable=False, doc="of client_endpoint as the authorization server named it"),
    sa.Column("client_endpoint", sa.String(512), nullable=False),
    sa.Column("application_token", sa.String(64), nullable=False, doc="HMAC-SHA256 of it: compared, never sent"),
    sa.Column("status", sa.String(16), nullable=False, doc="active | uninstalled"),
    sa.Column("installed_at", Moment, nullable=False),
    sa.Column("installed_by", sa.BigInteger, nullable=False),
    sa.Column(
        "facts", sa.JSON, nullable=False, default=dict, doc="scope, license, crm_mode, rest_v3, ... as last seen"
    ),
    sa.Column("served_at", Moment, doc="when a delivery of this portal was last claimed: portals take turns"),
)

tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("member_id", sa.String(64), primary_key=True),
    sa.Column("user_id", sa.BigInteger, primary_key=True),
    sa.Column("role", sa.String(16), nullable=False, doc="owner | spare: whose token our work runs on"),
    sa.Column("access", sa.Text, nullable=False, doc="encrypted"),
    sa.Column("refresh", sa.Text, nullable=False, doc="encrypted"),
    sa.Column("expires_at", Moment, nullable=False),
    sa.Column("version", sa.Integer, nullable=False, default=1, doc="one more with every stored pair"),
    sa.Column("lease_owner", sa.String(64)),
    sa.Column("lease_until", Moment),
    sa.Column("dead_at", Moment),
    sa.Column("dead_reason", sa.Text),
    sa.Column("updated_at", Moment, nullable=False),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", Key, primary_key=True, autoincrement=True),
    sa.Column("member_id", sa.String(64), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False, doc="robot | event | timer"),
    sa.Column("code", sa.String(64), nullable=False, doc="robot code, event name in capitals, timer code"),
    sa.Column(
        "entity", sa.String(96), nullable=False, doc="what it is about, e.g. lead:42, call:<id>: worked in order"
    ),
    sa.Column("unique_key", sa.String(255), doc="where the platform gives one (event_token); None: no such key exists"),
    sa.Column("payload", sa.JSON, nullable=False, doc="the parsed request without any token"),
    sa.Column("priority", sa.Integer, nullable=False, doc="smaller is more urgent"),
    sa.Column("state", sa.String(16), nullable=False, doc="waiting | running | done | failed | merged"),
    sa.Column("received_at", Moment, nullable=False),
    sa.Column("due_at", Moment, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, default=0, doc="counted before the work"),
    sa.Column("crashes", sa.Integer, nullable=False, default=0, doc="attempts whose worker never came back"),
    sa.Column("lease_owner", sa.String(64)),
    sa.Column("lease_until", Moment),
    sa.Column("decision", sa.JSON(none_as_null=True), doc="saved before its first command runs"),
    sa.Column("decided_at", Moment),
    sa.Column("failure", sa.Text, doc="failed for good, while a waiting robot must still be answered"),
    sa.Column("reason", sa.Text, doc="why it waits, failed, or had nothing to do"),
    sa.Column("finished_at", Moment),
    sa.UniqueConstraint("member_id", "unique_key"),
    sa.Index("ix_deliveries_state_due_at", "state", "due_at"),
    sa.Index("ix_deliveries_member_id_entity_state", "member_id", "entity", "state"),
    sqlite_autoincrement=True,  # ids are never reused: a late doorbell must not wake another row
)

commands = sa.Table(
    "commands",
    metadata,
    sa.Column("id", Key, primary_key=True, autoincrement=True),
    sa.Column("delivery_id", sa.ForeignKey("deliveries.id", ondelete="CASCADE"), nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("command", sa.JSON, nullable=False),
    sa.Column("state", sa.String(16), nullable=False, doc="written | sent | done | skipped | failed | unknown"),
    sa.Column("first_sent_at", Moment),
    sa.Column("finished_at", Moment),
    sa.Column("result", sa.JSON(none_as_null=True)),
    sa.Column("reason", sa.Text),
    sa.UniqueConstraint("delivery_id", "position"),
)

timers = sa.Table(
    "timers",
    metadata,
    sa.Column("id", Key, primary_key=True, autoincrement=True),
    sa.Column("member_id", sa.String(64), nullable=False),
    sa.Column("key", sa.String(160), nullable=False, doc="one timer a key; set again = moved"),
    sa.Column("code", sa.String(64), nullable=False),
    sa.Column("entity", sa.String(96), nullable=False),
    sa.Column("payload", sa.JSON, nullable=False),
    sa.Column("due_at", Moment, nullable=False, index=True),
    sa.UniqueConstraint("member_id", "key"),
)

cursors = sa.Table(
    "cursors",
    metadata,
    sa.Column("member_id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("value", sa.String(255), nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
)

snapshots = sa.Table(
    "snapshots",
    metadata,
    sa.Column("member_id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("value", sa.JSON, nullable=False),
    sa.Column("taken_at", Moment, nullable=False, doc="when the portal said so; a reader decides how old is too old"),
)

calls = sa.Table(
    "calls",
    metadata,
    sa.Column("member_id", sa.String(64), primary_key=True),
    sa.Column("call_id", sa.String(128), primary_key=True),
    sa.Column(
        "call_type", sa.Integer, doc="1 outgoing, 2 incoming, 3 redirected, 4 call-back, 5 informational; None: unseen"
    ),
    sa.Column("phone", sa.String(32), doc="E.164 where it is a number"),
    sa.Column("user_id", sa.BigInteger, doc="who answered, or who dialled"),
    sa.Column("seen_at", Moment, nullable=False, doc="when we first heard of it"),
    sa.Column("started_at", Moment, doc="when talking began"),
    sa.Column("ended_at", Moment),
    sa.Column("failed_code", sa.String(16)),
    sa.Index("ix_calls_member_id_ended_at", "member_id", "ended_at"),
    sa.Index("ix_calls_member_id_phone", "member_id", "phone"),
)

assignments = sa.Table(
    "assignments",
    metadata,
    sa.Column("id", Key, primary_key=True, autoincrement=True),
    sa.Column("member_id", sa.String(64), nullable=False),
    sa.Column("key", sa.String(160), nullable=False, doc="the reason it was made for; one assignment a reason"),
    sa.Column("entity", sa.String(96), nullable=False),
    sa.Column("cause", sa.String(32), nullable=False, doc="missed | answered | created | written | robot"),
    sa.Column("queue", sa.String(64), nullable=False, doc="whose turns are counted together"),
    sa.Column("manager_id", sa.BigInteger, doc="None: nobody was free, the item waits in the queue"),
    sa.Column(
        "took_turn", sa.Boolean, nullable=False, doc="counts for fairness (not when the client's own manager got it)"
    ),
    sa.Column("phone", sa.String(32)),
    sa.Column("call_id", sa.String(128)),
    sa.Column("delivery_id", sa.BigInteger, nullable=False),
    sa.Column("card", sa.JSON, nullable=False, doc="the decision as people read it"),
    sa.Column("decided_at", Moment, nullable=False),
    sa.Column("written_at", Moment, doc="when the portal had it"),
    sa.UniqueConstraint("member_id", "key"),
    sa.Index("ix_assignments_member_id_entity", "member_id", "entity"),
    sa.Index("ix_assignments_member_id_queue_decided_at", "member_id", "queue", "decided_at"),
)

alarms = sa.Table(
    "alarms",
    metadata,
    sa.Column("member_id", sa.String(64), primary_key=True),
    sa.Column("key", sa.String(96), primary_key=True),
    sa.Column("text", sa.JSON, nullable=False, doc='{"ru": ..., "en": ...}: what is wrong and what to do'),
    sa.Column("since", Moment, nullable=False),
)

items = sa.Table(
    "items",
    metadata,
    sa.Column("member_id", sa.String(64), primary_key=True),
    sa.Column("entity", sa.String(96), primary_key=True),
    sa.Column("stage_id", sa.String(32), nullable=False, doc="where we last saw it, or put it"),
    sa.Column("seen_at", Moment, nullable=False),
)

tasks = sa.Table(
    "tasks",
    metadata,
    sa.Column("member_id", sa.String(64), primary_key=True),
    sa.Column("task_id", sa.BigInteger, primary_key=True),
    sa.Column("entity", sa.String(96), nullable=False),
    sa.Column("rule", sa.String(40), nullable=False, doc="key of the playbook's task rule"),
    sa.Column("stage", sa.String(40), nullable=False, doc="key of the stage that asked for it"),
    sa.Column("round", sa.Integer, nullable=False, doc="1, and one more for every new round (a new offer)"),
    sa.Column("state", sa.String(16), nullable=False, doc="open | closed | obsolete"),
    sa.Column("made_at", Moment, nullable=False),
    sa.Column("closed_at", Moment),
    sa.Index("ix_tasks_member_id_entity", "member_id", "entity"),
)

confirmations = sa.Table(
    "confirmations",
    metadata,
    sa.Column("id", Key, primary_key=True, autoincrement=True),
    sa.Column("member_id", sa.String(64), nullable=False),
    sa.Column("entity", sa.String(96), nullable=False),
    sa.Column("kind", sa.String(40), nullable=False, doc="evidence that a person confirmed, or field:<key>"),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("user_id", sa.BigInteger, nullable=False),
    sa.Column("confirmed_at", Moment, nullable=False),
    sa.Index("ix_confirmations_member_id_entity", "member_id", "entity"),
)

moves = sa.Table(
    "moves",
    metadata,
    sa.Column("id", Key, primary_key=True, autoincrement=True),
    sa.Column("member_id", sa.String(64), nullable=False),
    sa.Column("entity", sa.String(96), nullable=False),
    sa.Column("from_stage", sa.String(40)),
    sa.Column("to_stage", sa.String(40), nullable=False),
    sa.Column("mover_id", sa.BigInteger, doc="who moved it there; 0 or None: not a person"),
    sa.Column("action", sa.String(16), nullable=False, doc="pass | return | task | warn | ask; own: a move of ours"),
    sa.Column("missing", sa.JSON, nullable=False, doc="what was missing, as people read it"),
    sa.Column("judged_at", Moment, nullable=False),
    sa.Column("delivery_id", sa.BigInteger, nullable=False, doc="that judged it: its journal tells what came of it"),
    sa.Column("moved_at", Moment, doc="movedTime of the portal: the same move is judged once"),
    sa.Column("told_at", Moment, doc="when it stood in the head's summary"),
    sa.Index("ix_moves_member_id_entity", "member_id", "entity"),
    sa.Index("ix_moves_member_id_told_at", "member_id", "told_at"),
)

applied = sa.Table(
    "applied",
    metadata,
    sa.Column("member_id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(160), primary_key=True, doc="what of the playbook, e.g. lead.stage:client"),
    sa.Column("portal_id", sa.String(160), nullable=False, doc="what it is on the portal"),
    sa.Column("made", sa.Boolean, nullable=False, doc="we made it; False: it was there and was taken over"),
    sa.Column("before", sa.JSON(none_as_null=True), doc="what stood there before we changed it"),
    sa.Column("applied_at", Moment, nullable=False),
)

_AGREED = sa.text("state IN ('booked', 'confirming', 'confirmed')")

visits = sa.Table(
    "visits",
    metadata,
    sa.Column("id", Key, primary_key=True, autoincrement=True),
    sa.Column("member_id", sa.String(64), nullable=False),
    sa.Column("entity", sa.String(96), nullable=False),
    sa.Column("round", sa.Integer, nullable=False, doc="1, and one more for every other date; a hold counts none"),
    sa.Column("work", sa.String(40), nullable=False, doc="key of the kind of work"),
    sa.Column("measurer_id", sa.BigInteger, nullable=False),
    sa.Column("starts_at", Moment, nullable=False),
    sa.Column("ends_at", Moment, nullable=False),
    sa.Column("state", sa.String(16), nullable=False, doc="of rules/confirmation.py"),
    sa.Column("shown", sa.String(16), nullable=False, doc="the state that portal and people were told last; '': none"),
    sa.Column("title", sa.String(255), nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("address_given", sa.Boolean, nullable=False, doc="a robot named it: the card's does not replace it"),
    sa.Column("zone", sa.String(40), nullable=False),
    sa.Column("latitude", sa.Float),
    sa.Column("longitude", sa.Float),
    sa.Column("booked_by", sa.BigInteger, nullable=False, doc="0: nobody in person"),
    sa.Column("source", sa.String(16), nullable=False, doc="tab | board | card | calendar | robot"),
    sa.Column(
        "agreed", sa.Boolean, nullable=False, doc="the client agreed to this time already: he is not asked again"
    ),
    sa.Column("hold_until", Moment),
    sa.Column("confirm_at", Moment, doc="when the client is to be asked, as last planned"),
    sa.Column("told", sa.Integer, nullable=False, default=0, doc="1 the manager was reminded, 2 his head was told"),
    sa.Column("calendar_id", sa.BigInteger, doc="the measurer's calendar entry, once the portal gave a number"),
    sa.Column("entry_delivery", sa.BigInteger, doc="the delivery that makes the entry and writes the card"),
    sa.Column("problem", sa.String(32), nullable=False, default="", doc="absent | gone: the head was told of it"),
    sa.Column("reason", sa.Text, nullable=False, default=""),
    sa.Column("made_at", Moment, nullable=False),
    sa.Column("changed_at", Moment, nullable=False),
    sa.Index("ix_visits_member_id_entity", "member_id", "entity"),
    sa.Index("ix_visits_member_id_measurer_id_starts_at", "member_id", "measurer_id", "starts_at"),
    sa.Index(
        "uq_visits_agreed",
        "member_id",
        "entity",
        unique=True,
        sqlite_where=_AGREED,
        postgresql_where=_AGREED,
    ),
    sqlite_autoincrement=True,
)

visit_cells = sa.Table(
    "visit_cells",
    metadata,
    sa.Column("member_id", sa.String(64), primary_key=True),
    sa.Column("measurer_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column(
        "cell", sa.BigInteger, primary_key=True, autoincrement=False, doc="five minutes of a measurer's time, once only"
    ),
    sa.Column("visit_id", sa.ForeignKey("visits.id", ondelete="CASCADE"), nullable=False, index=True),
)

Row = sa.RowMapping


def row(result: sa.CursorResult[Any]) -> Row | None:
    """Returns the only row as a mapping, or None."""
    return result.mappings().one_or_none()
