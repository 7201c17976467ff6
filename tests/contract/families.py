"""The families of methods whose documentation's examples are replayed, and the examples themselves.

A family plugs in by a module tests/sandbox/example_<name>.py with FAMILIES (first words of method names), World(do),
fit(world, name, request), LISTED (name -> why its example is not sent) and DIFFERS (name -> part of a path -> why this
portal does not show it). Examples lie in tests/contract/examples, made by tests/contract/extract.py.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

from sandbox.method import METHODS, METHODS_V3, load_methods

load_methods()
HERE = Path(__file__).parent
CONTRACT: dict[str, Any] = json.loads((HERE / "methods.json").read_text())
_FOUND = sorted((HERE.parent / "sandbox").glob("example_*.py"))
MODULES = [importlib.import_module(f"tests.sandbox.{path.stem}") for path in _FOUND]
SERVED = {entry.name for entry in METHODS.values()} | {f"api/{entry.name}" for entry in METHODS_V3.values()}


def family_of(name: str) -> str:
    """The first word of a method's name."""
    return name.removeprefix("api/").split(".")[0]


def _examples() -> dict[str, tuple[Any, dict[str, Any]]]:
    found = {}
    for module in MODULES:
        for family in module.FAMILIES:
            listed = json.loads((HERE / "examples" / f"{family}.json").read_text())
            found |= {name: (module, example) for name, example in listed.items() if name in SERVED}
    return found


# name -> (the module of its family, {page, request, answer}) of every served method of the families.
EXAMPLES = _examples()
REPLAYED = sorted(name for name, (module, _) in EXAMPLES.items() if name not in module.LISTED)
LISTED = {name: reason for module in MODULES for name, reason in module.LISTED.items()}
DIFFERS: dict[str, dict[str, str]] = {name: paths for module in MODULES for name, paths in module.DIFFERS.items()}


def fitted(worlds: dict[str, Any], do: Any, name: str) -> Any:
    """The example's request with the ids of the portal on which `do` works; its records are made at need."""
    module, example = EXAMPLES[name]
    if module.__name__ not in worlds:
        worlds[module.__name__] = module.World(do)
    return module.fit(worlds[module.__name__], name, json.loads(json.dumps(example["request"] or {})))
