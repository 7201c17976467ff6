"""The card in front of a person, for our two pages about it: read with his own token, judged by the one gate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from b24app.bitrix.calls import Answer, Call
from b24app.bitrix.portal import Portal
from b24app.entities import ItemRef
from b24app.errors import AccessDenied, B24AppError, NotFound
from b24app.playbook import CardField, Evidence, Stage
from b24app.process import (
    ProcessOnPortal,
    Standing,
    card_of,
    card_read,
    decline_reason,
    local,
    portal_fields,
    standing_of_card,
)
from b24app.rules.stage_gate import Card, Ruling, evidence_key, judge_move
from b24app.store import process_memory
from b24app.store.memory import Memory

DECLINE = "decline"
"""The key under which the reason of decline is a field of the form."""


@dataclass(frozen=True)
class CardState:
    """An item with its process. `described` are the portal's fields at this moment, `at` is now in the office."""

    ref: ItemRef
    standing: Standing
    described: Mapping[str, Any]
    zone: ZoneInfo
    at: datetime

    @property
    def on(self) -> ProcessOnPortal:
        """The process on this portal."""
        return self.standing.on

    @property
    def item(self) -> Mapping[str, Any]:
        """The card as the portal wrote it."""
        return self.standing.raw

    @property
    def card(self) -> Card:
        """The card by the playbook's keys."""
        return self.standing.card

    @property
    def stage_id(self) -> str:
        """Where it stands, by STATUS_ID."""
        return self.standing.stage_id

    @property
    def title(self) -> str:
        """The item's title."""
        return self.standing.item.title

    def field(self, key: str) -> CardField | None:
        """Returns the field with its code on this portal; the reason of decline is a list field too."""
        decline = self.on.process.decline
        if key == DECLINE and decline is not None:
            return CardField(key=DECLINE, code=self.on.decline_code, type="enumeration", name=decline.name)
        field = self.on.process.field(key)
        return None if field is None else field.model_copy(update={"code": self.on.field_code(key)})

    def evidence(self, key: str) -> Evidence | None:
        """Returns what the process asks for under this name."""
        asked = (one for stage in self.on.process.stages for one in stage.evidence)
        return next((one for one in asked if evidence_key(one) == key), None)

    def ruling(self, target: Stage) -> Ruling:
        """Returns what the gate would say of the move to `target` now."""
        here = self.standing.stage.key if self.standing.stage is not None else None
        reason = decline_reason(self.on, self.item)
        return judge_move(
            self.on.process, here, target.key, self.card, self.standing.seen, at=self.at, decline_reason=reason
        )

    def as_if(self, item: Mapping[str, Any], confirmed: Iterable[str]) -> CardState:
        """Returns the state as it will be with this card, and with these confirmed by hand."""
        seen = self.standing.seen
        seen = replace(
            seen,
            confirmed=seen.confirmed | frozenset(confirmed),
            confirmed_fields=seen.confirmed_fields
            | {one.field for key in confirmed if (one := self.evidence(key)) is not None and one.field},
        )
        return replace(self, standing=replace(self.standing, raw=item, card=card_of(self.on, item), seen=seen))


def reads(ref: ItemRef) -> dict[str, Call]:
    """Returns what is asked of the portal with the visitor's rights, to go into the batch that proves him."""
    return {"item": card_read(ref).call, "fields": portal_fields(ref.entity_type_id).call}


def state_of(
    portal: Portal, on: ProcessOnPortal, ref: ItemRef, answers: Mapping[str, Answer | B24AppError], *, to: str
) -> CardState:
    """Returns the state for the move to stage key `to` (empty: the next one) from the answers to `reads`.

    `portal` reads evidence and is the visitor's own: at most one request. Raises what the portal said to him.
    """
    item, fields = answers.get("item"), answers.get("fields")
    for answer in (item, fields):
        if isinstance(answer, B24AppError):
            raise answer
    if not isinstance(item, Answer) or not isinstance(fields, Answer):
        raise AccessDenied("карточка не прочитана / the card was not read")
    raw = card_read(ref).parse(item)
    if raw is None:
        raise NotFound("карточки нет / there is no such card")
    described = fields.result.get("fields") if isinstance(fields.result, Mapping) else None
    return CardState(
        ref=ref,
        standing=standing_of_card(portal, on, ref, raw, to=to or None),
        described=described if isinstance(described, Mapping) else {},
        zone=portal.playbook.hours.calendar().zone,
        at=local(portal, portal.now),
    )


def confirm(portal: Portal, state: CardState, reasons: Mapping[str, str], user_id: int) -> None:
    """Keeps that a person vouches for evidence, with his reasons by the evidence's names."""
    with portal.database.write() as connection:
        memory = Memory(portal.database, connection, portal.member_id)
        for key, reason in reasons.items():
            wanted = state.evidence(key)
            kind = f"field:{wanted.field}" if wanted is not None and wanted.field else key
            process_memory.confirm(memory, entity=str(state.ref), kind=kind, reason=reason, user_id=user_id)
