"""Foreign clients from PyPI, unmodified, against the portal; and how fast it answers."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from b24pysdk import BitrixWebhook, Client
from fast_bitrix24 import Bitrix

from sandbox.client import Sandbox


def test_fast_bitrix24_reads_everything_and_writes_in_batches(portal: Sandbox) -> None:
    portal.control("POST", "import", {"count": 200, "silent": True})
    bitrix = Bitrix(portal.ready["webhook"], verbose=False)
    leads = bitrix.get_all("crm.lead.list", {"select": ["ID", "TITLE"]})
    assert len({lead["ID"] for lead in leads}) == 206
    numbers = bitrix.call("crm.lead.add", [{"fields": {"TITLE": f"a&b {n}", "OPENED": True}} for n in range(3)])
    assert portal.result("crm.lead.get", {"id": numbers[0]})["TITLE"] == "a&b 0"
    found = bitrix.get_by_ID("crm.lead.get", [1, 2])
    assert sorted(found, key=int) == ["1", "2"]
    assert found["1"]["ID"] == "1"
    raw = bitrix.call("crm.item.get", {"entityTypeId": 1, "id": 1}, raw=True)
    assert raw["result"]["item"]["id"] == 1


def test_fast_bitrix24_works_with_an_application_token(portal: Sandbox) -> None:
    async def token() -> str:
        return portal.ready["access_token"]

    bitrix = Bitrix(portal.url + "/rest/", token_func=token, verbose=False)
    people = bitrix.get_all("user.get", {"FILTER": {"ACTIVE": True}})
    assert len(people) == 10


def test_b24pysdk_calls_lists_and_batches(portal: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    # The SDK writes https into every address; the portal has no certificate, so only the scheme is changed.
    plain = property(lambda self: f"http://{self._domain}/rest")
    caller = importlib.import_module("b24pysdk.api.callers.call_method")
    monkeypatch.setattr(caller._MethodCaller, "_base_url", plain)
    domain = portal.url.split("://")[1]
    token = portal.ready["webhook"].split("/rest/")[1].strip("/")
    client = Client(BitrixWebhook(domain=domain, webhook_token=token))
    made = client.crm.lead.add({"TITLE": "Из SDK", "OPENED": True}).result
    assert client.crm.lead.get(bitrix_id=made).result["TITLE"] == "Из SDK"
    assert client.crm.lead.update(bitrix_id=made, fields={"TITLE": "Ещё"}).result is True
    portal.control("POST", "import", {"count": 120, "silent": True})
    assert len(list(client.crm.lead.list().as_list().result)) == 127
    pair = client.call_batch({"a": client.crm.lead.get(bitrix_id=made), "b": client.user.current()}).result
    assert pair.result["a"]["TITLE"] == "Ещё"
    assert pair.result["b"]["ID"] == "1"


def test_simple_requests_per_second(portal: Sandbox) -> None:
    count = 600

    def some(_: int) -> int:
        with requests.Session() as session:
            session.trust_env = False
            return sum(
                session.post(portal.ready["webhook"] + "crm.item.get", json={"entityTypeId": 1, "id": 1}, timeout=20).ok
                for _ in range(count // 4)
            )

    started = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        good = sum(pool.map(some, range(4)))
    print(f"\n{count / (time.monotonic() - started):.0f} requests/s by 4 connections")
    assert good == count


def test_clients_that_insist_on_https_run_unmodified_over_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with Sandbox.start("--no-limits", "--tls", "--leads", "130") as portal:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", portal.ready["ca"])
        domain = portal.url.split("://")[1]
        webhook = portal.ready["webhook"].split("/rest/")[1].strip("/")
        client = Client(BitrixWebhook(domain=domain, webhook_token=webhook))
        made = client.crm.lead.add({"TITLE": "По https"}).result
        assert client.crm.lead.get(bitrix_id=made).result["TITLE"] == "По https"
        assert len(list(client.crm.lead.list().as_list().result)) == 131
        # aiohttp reads its authorities once, when it is imported: a process of its own has them from the beginning.
        script = (
            "import sys; from fast_bitrix24 import Bitrix; bitrix = Bitrix(sys.argv[1], verbose=False);"
            "print(len(bitrix.get_all('crm.lead.list', {'select': ['ID']})))"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, portal.ready["webhook"]], capture_output=True, text=True, timeout=60,
            env={**os.environ, "SSL_CERT_FILE": portal.ready["ca"]}, check=False,
        )  # fmt: skip
        assert done.stdout.strip() == "131", done.stderr
        monkeypatch.delenv("REQUESTS_CA_BUNDLE")
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(portal.url, timeout=10)
