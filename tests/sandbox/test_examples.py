"""The documentation's examples are replayed: their request in, the key tree of their answer compared.

Examples lie in tests/contract/examples (made by tests/contract/extract.py). A family plugs in by a module
tests/sandbox/example_<name>.py with FAMILIES, World(do), fit(world, name, request), LISTED and DIFFERS.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.client import Sandbox
from sandbox.method import METHODS, METHODS_V3, load_methods
from tests.contract.compare import lacking

load_methods()
HERE = Path(__file__).parent
CONTRACT: dict[str, Any] = json.loads((HERE.parent / "contract" / "methods.json").read_text())
MODULES = [importlib.import_module(f"tests.sandbox.{path.stem}") for path in sorted(HERE.glob("example_*.py"))]
SERVED = {entry.name for entry in METHODS.values()} | {f"api/{entry.name}" for entry in METHODS_V3.values()}


def _examples() -> dict[str, tuple[Any, dict[str, Any]]]:
    """name -> (its module, its example) of every served method of the families that are plugged in."""
    found = {}
    for module in MODULES:
        for family in module.FAMILIES:
            listed = json.loads((HERE.parent / "contract" / "examples" / f"{family}.json").read_text())
            found |= {name: (module, example) for name, example in listed.items() if name in SERVED}
    return found


EXAMPLES = _examples()
REPLAYED = sorted(name for name, (module, _) in EXAMPLES.items() if name not in module.LISTED)


class Portal:
    """A running portal with its application installed, and one world for each family."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        sandbox.application(handler="http://127.0.0.1:9/app")
        sandbox.finish_install()
        self.token = sandbox.token_of(1)
        self.worlds = {module.__name__: module.World(self.do) for module in MODULES}

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


def _fitted(portal: Portal, name: str) -> Any:
    module, example = EXAMPLES[name]
    return module.fit(portal.worlds[module.__name__], name, json.loads(json.dumps(example["request"] or {})))


@pytest.mark.parametrize("name", REPLAYED)
def test_an_example_of_the_documentation_gets_its_answer(portal: Portal, name: str) -> None:
    module, example = EXAMPLES[name]
    request = _fitted(portal, name)
    answer = portal.call(name, request)
    assert answer.status_code == 200, (request, answer.text)
    tree = example["answer"] or CONTRACT[name]["result"]
    wrong = lacking(tree, answer.json(), module.DIFFERS.get(name, {}))
    assert wrong == [], f"{request}\n{answer.text[:1500]}"


def test_every_served_method_of_a_family_is_replayed_or_listed_with_a_reason() -> None:
    families = {family for module in MODULES for family in module.FAMILIES}
    served = {name for name in SERVED if name.removeprefix("api/").split(".")[0] in families}
    listed = {name: reason for module in MODULES for name, reason in module.LISTED.items()}
    assert served - set(REPLAYED) - set(listed) == set()
    assert [name for name, reason in listed.items() if not reason or name not in SERVED] == []
    assert [name for name, (_, example) in EXAMPLES.items() if not example["page"]] == []
