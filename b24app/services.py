"""What a process of ours works with, built once from the settings and handed to whoever needs it."""

from __future__ import annotations

from dataclasses import dataclass

import redis as redis_client

from b24app.bitrix.limits import Limits
from b24app.bitrix.oauth import Tokens
from b24app.bitrix.portal import Portal
from b24app.bitrix.rest import Rest
from b24app.config import Settings
from b24app.engine.declare import Catalogue
from b24app.engine.inbox import Inbox
from b24app.engine.jobs import Doorbell
from b24app.errors import PortalClosed
from b24app.pictures import pictures
from b24app.playbook import Playbook, load_playbook
from b24app.sms.gateway import Gateway, gateway_of
from b24app.store.database import Database
from b24app.store.portals import portal_of

REDIS_TIMEOUT_SECONDS = 0.25
"""Redis is transport: a door that waits longer for it would keep Bitrix24's queue waiting."""


@dataclass(frozen=True)
class Services:
    """Settings, catalogue and the connections; safe to share between threads, not across a fork (see `dispose`)."""

    settings: Settings
    catalogue: Catalogue
    playbook: Playbook
    database: Database
    redis: redis_client.Redis
    tokens: Tokens
    limits: Limits
    inbox: Inbox
    doorbell: Doorbell
    sms: Gateway

    def open_portal(self, member_id: str, urgent: bool = False) -> Portal:
        """Returns an installed portal as robots and handlers see it; PortalClosed where nothing works on it."""
        row = portal_of(self.database, member_id)
        if row is None or not row.active:
            raise PortalClosed("приложение удалено с портала / the application is not on the portal any more")
        return Portal(
            member_id=member_id,
            client_id=row.client_id,
            url=row.origin,
            public_url=self.settings.app.public_url,
            owner_id=self.tokens.owner(member_id).user_id,
            facts=row.facts,
            playbook=self.playbook,
            rest=Rest(self.database, self.tokens, self.limits, member_id, urgent=urgent),
            database=self.database,
            sms=self.sms,
            pictures={
                name: f"{self.settings.app.public_url}{picture.url}"
                for name, picture in pictures(self.playbook, self.settings.playbook.path).items()
            },
        )

    def dispose(self) -> None:
        """Closes every connection, once nobody uses it."""
        self.doorbell.close()
        self.database.dispose()
        self.redis.close()


def build(settings: Settings, catalogue: Catalogue, redis_url: str) -> Services:
    """Returns the services of one process; opens no connection yet."""
    database = Database(settings.database.url)
    redis = redis_client.Redis.from_url(
        redis_url, socket_timeout=REDIS_TIMEOUT_SECONDS, socket_connect_timeout=REDIS_TIMEOUT_SECONDS
    )
    return Services(
        settings=settings,
        catalogue=catalogue,
        playbook=load_playbook(settings.playbook.path),
        database=database,
        redis=redis,
        tokens=Tokens(database, settings),
        limits=Limits(redis),
        inbox=Inbox(database),
        doorbell=Doorbell(redis),
        sms=gateway_of(settings.sms),
    )
