"""One portal as authors of robots and handlers see it: batched reads in Bitrix24's words, and our memory of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from b24app.bitrix.calls import Answer
from b24app.bitrix.reads import Read
from b24app.bitrix.rest import Rest
from b24app.entities import ENTITY_NAMES, ItemRef
from b24app.errors import B24AppError, Permanent, Temporary
from b24app.playbook import Playbook
from b24app.sms.gateway import NO_GATEWAY, Gateway
from b24app.store.database import Database
from b24app.store.memory import Memory

D = TypeVar("D")


class Found(Mapping[str, Any]):
    """The answers of one Portal.read by label. `found["lead"]` raises the error of that read, `maybe` does not."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def __getitem__(self, label: str) -> Any:
        value = self._values[label]
        if isinstance(value, B24AppError):
            raise value
        return value

    def __contains__(self, label: object) -> bool:
        return label in self._values  # asked, whatever the answer: Mapping's own look would raise a refusal

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def maybe(self, label: str, default: D) -> Any | D:
        """Returns the answer, or `default` where it was not asked, is empty, or the portal refuses it for good.

        A portal without telephony, time management or a calendar must not stop the distribution of leads.
        """
        value = self._values.get(label)
        return default if value is None or isinstance(value, Permanent) else self[label]


@dataclass
class Portal:
    """One portal: `read` asks it, `memory` opens our own database for a short look.

    `pictures` are our addresses of the playbook's memo pictures by name.
    """

    member_id: str
    client_id: str
    url: str
    public_url: str
    owner_id: int
    facts: Mapping[str, Any]
    playbook: Playbook
    rest: Rest
    database: Database
    sms: Gateway = NO_GATEWAY
    pictures: Mapping[str, str] = field(default_factory=dict)

    def read(self, reads: Mapping[str, Read[Any]], *, optional: frozenset[str] = frozenset()) -> Found:
        """Returns the answers of all reads, in as few requests as there are batches of 50.

        An error of one read waits in its place until it is looked at; a passing trouble of a read that is not
        `optional` ends the whole (Temporary): half the facts make wrong decisions.
        """
        answers = self.rest.gather({label: read.call for label, read in reads.items()})
        values: dict[str, Any] = {}
        for label, read in reads.items():
            answer = answers.get(label)
            if isinstance(answer, Answer):
                values[label] = read.parse(answer)
            elif isinstance(answer, Temporary) and label not in optional:
                raise answer
            elif isinstance(answer, Temporary):
                values[label] = Permanent(answer.reason, code=answer.code)
            else:
                values[label] = answer
        return Found(values)

    @contextmanager
    def memory(self) -> Iterator[Memory]:
        """Yields our memory for reading, one short transaction; never hold it over a `read`."""
        with self.database.read() as connection:
            yield Memory(self.database, connection, self.member_id)

    def read_all(self, method: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Returns a whole long list as REST gives its rows (reconciliation); writes never go this way."""
        from b24app.bitrix.bulk import Bulk  # an eighth of every start and of the memory, for a rare long list

        return Bulk(self.rest).read_all(method, params)

    @property
    def now(self) -> datetime:
        """The present, for facts: rules ask no clock."""
        return datetime.now(UTC)

    @property
    def simple_mode(self) -> bool:
        """Whether the CRM works without leads: every enquiry is a deal at once."""
        return self.facts.get("crm_mode") == 2

    @property
    def rest_v3(self) -> bool:
        """Whether tasks go by REST 3.0; assumed until the portal says no."""
        return self.facts.get("rest_v3") is not False

    def card_url(self, item: ItemRef) -> str:
        """Returns the address of the item's card."""
        return f"{self.url}/crm/{ENTITY_NAMES.get(item.entity_type_id, 'lead')}/details/{item.id}/"

    def app_path(self, query: str = "") -> str:
        """Returns the portal's own link to our application, which opens in a slider."""
        return f"/marketplace/view/{self.client_id}/{query}"
