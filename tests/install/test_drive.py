"""The memo pictures on the Drive of the application: the difference, written out."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import pytest

from b24app.pictures import PICTURE, Picture
from b24app.store.applied import AppliedRow
from install.drive import Drive, drive_of, picture_steps, reads
from install.wanted import Step

MEMO = Picture(b"<svg/>", "image/svg+xml", "/picture/offer.svg?v=1", "offer-abc.png", b"drawing")
STORAGE = {"ID": "8", "NAME": "Приложение", "ROOT_OBJECT_ID": "40"}


def steps(drive: Drive, *, there: bool = True, known: int | None = None) -> Step:
    name = f"{PICTURE}offer.svg"
    rows = {name: AppliedRow(name, str(known), True, None, datetime.now(UTC))} if known else {}
    (step,) = picture_steps(["offer.svg"], {"offer.svg": MEMO} if there else {}, drive, rows)
    return step


def test_the_file_is_asked_for_by_its_name_in_the_storage_of_the_application() -> None:
    asked = reads({"offer.svg": MEMO})
    assert [(call.method, dict(call.params)) for call in asked.values()] == [
        ("disk.storage.getForApp", {}),
        ("disk.storage.getChildren", {"id": "$result[storage][ID]", "filter": {"@NAME": ["offer-abc.png"]}}),
    ]
    assert reads({}) == {}


def test_what_is_not_there_is_uploaded_and_known_by_its_name_afterwards() -> None:
    step = steps(drive_of({"storage": STORAGE, "files": []}))
    assert step.state == "add"
    assert step.call is not None
    assert (step.call.method, dict(step.call.params)) == (
        "disk.storage.uploadFile",
        {
            "id": 8,
            "data": {"NAME": "offer-abc.png"},
            "fileContent": ["offer-abc.png", base64.b64encode(b"drawing").decode()],
        },
    )
    assert [(record.name, record.portal_id) for record in step.records] == [("picture:offer.svg", "")]
    after = steps(drive_of({"storage": STORAGE, "files": [{"ID": "55", "NAME": "offer-abc.png"}]}))
    assert (after.state, after.call) == ("present", None)
    assert [(record.name, record.portal_id) for record in after.records] == [("picture:offer.svg", "55")]


def test_until_a_changed_picture_is_there_tasks_get_the_former_one() -> None:
    step = steps(Drive(8, {}), known=55)
    assert step.state == "add"
    assert step.records[0].portal_id == "55"


@pytest.mark.parametrize("results", [{}, {"storage": STORAGE}, {"files": []}, {"storage": [], "files": []}])
def test_without_the_scope_disk_tasks_get_a_link_and_the_administrator_a_word(results: dict[str, Any]) -> None:
    step = steps(drive_of(results))
    assert (step.state, step.call, step.records) == ("impossible", None, ())
    assert step.note is not None
    assert "disk" in step.note["ru"]


def test_a_picture_that_does_not_lie_beside_the_playbook_is_named() -> None:
    step = steps(Drive(8, {}), there=False)
    assert (step.state, step.call) == ("impossible", None)
    assert step.note == {
        "ru": "файла нет рядом с плейбуком",
        "en": "there is no such file beside the playbook",
    }
