"""The documentation's examples are replayed: their request in, the key tree of their answer compared.

tests/contract/families.py says how a family plugs in.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from sandbox.client import Sandbox
from tests.contract.compare import lacking
from tests.contract.families import CONTRACT, DIFFERS, EXAMPLES, LISTED, MODULES, REPLAYED, SERVED, family_of, fitted
from tests.contract.table import BEGIN, END, PAGE, written


class Portal:
    """A running portal with its application installed, and one world for each family."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        sandbox.application(handler="http://127.0.0.1:9/app")
        sandbox.finish_install()
        self.token = sandbox.token_of(1)
        self.worlds: dict[str, Any] = {}

    def call(self, name: str, params: Any) -> requests.Response:
        query = {} if isinstance(params, dict) else {"auth": self.token}
        body = {**params, "auth": self.token} if isinstance(params, dict) else params
        return self.sandbox.session.post(f"{self.sandbox.url}/rest/{name}", json=body, params=query, timeout=30)

    def do(self, name: str, /, **params: Any) -> Any:
        answer = self.call(name, params).json()
        assert "error" not in answer, (name, params, answer)
        return answer["result"]


@pytest.fixture(scope="module")
def portal() -> Iterator[Portal]:
    with Sandbox.start("--no-limits") as sandbox:
        yield Portal(sandbox)


@pytest.mark.parametrize("name", REPLAYED)
def test_an_example_of_the_documentation_gets_its_answer(portal: Portal, name: str) -> None:
    request = fitted(portal.worlds, portal.do, name)
    answer = portal.call(name, request)
    assert answer.status_code == 200, (request, answer.text)
    tree = EXAMPLES[name][1]["answer"] or CONTRACT[name]["result"]
    wrong = lacking(tree, answer.json(), DIFFERS.get(name, {}))
    assert wrong == [], f"{request}\n{answer.text[:1500]}"


def test_every_served_method_of_a_family_is_replayed_or_listed_with_a_reason() -> None:
    families = {family for module in MODULES for family in module.FAMILIES}
    served = {name for name in SERVED if family_of(name) in families}
    assert served - set(REPLAYED) - set(LISTED) == set()
    assert [name for name, reason in LISTED.items() if not reason or name not in SERVED] == []
    assert [name for name, (_, example) in EXAMPLES.items() if not example["page"]] == []
    assert [name for name in DIFFERS if name not in SERVED] == []


def test_the_table_of_the_documentation_is_what_the_tests_say() -> None:
    page = PAGE.read_text()
    assert BEGIN in page
    assert END in page
    assert written(page) == page, "run: python -m tests.contract.table"
