"""One office for most journeys, put back to an ordinary morning before each; its logs are shown where a test fails."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .office import Office, playbook, running, running_office
from .shop import Shop, running_shop

_sizes: dict[int, dict[str, int]] = {}


@pytest.fixture(scope="session")
def shared_office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """The office that most journeys share."""
    with running_office(tmp_path_factory.mktemp("office"), "--no-limits") as office:
        yield office


@pytest.fixture
def office(shared_office: Office) -> Office:
    """The shared office on an ordinary morning: Anna, Boris and Vera are at work."""
    return tidied(shared_office)


def tidied(office: Office) -> Office:
    """Ends what the test before left behind, and puts the office back to an ordinary morning."""
    _sizes[id(office)] = office.log_sizes()
    for call in office.portal.state("calls"):
        if not call["done"]:
            office.portal.finish(call["call_id"])
    office.control("DELETE", "faults")
    office.settle(hurry=True)
    office.tidy()
    return office


@pytest.fixture(scope="session")
def shared_waiting_office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """An office of other policies: nobody free means to wait, and whoever answers takes the client over."""
    text = playbook(when_nobody='"wait"', answered_on_foreign='"responsible"')
    folder = tmp_path_factory.mktemp("waiting-office")
    with running_office(folder, "--no-limits", workers=1, text=text) as office:
        yield office


@pytest.fixture
def waiting_office(shared_waiting_office: Office) -> Office:
    """The office that waits, on an ordinary morning."""
    return tidied(shared_waiting_office)


@pytest.fixture(scope="session")
def shared_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The kitchen shop that measures."""
    with running_shop(tmp_path_factory.mktemp("shop")) as shop:
        yield shop


@pytest.fixture
def shop(shared_shop: Shop) -> Shop:
    """The shop on a morning without visits."""
    _sizes[id(shared_shop.office)] = shared_shop.office.log_sizes()
    shared_shop.morning()
    return shared_shop


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if report.failed:
        for office in running:
            for name, text in office.logs_since(_sizes.get(id(office), {})):
                if text.strip():
                    report.sections.append((f"{office.folder.name}/{name}", text))
    return report
