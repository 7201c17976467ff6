"""The playbook's memo pictures on the portal's Drive, in the storage of the application: what is there, what is to do.

Once a portal: a file's name there ends with a hash of its content, so that a changed picture is a new file, and one
whose upload nobody knows the outcome of is found again. Former files stay, tasks show them.
Source: api-reference/disk/storage (getForApp makes the storage where there is none).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from b24app.bitrix.calls import Call
from b24app.bitrix.reads import result_of
from b24app.bitrix.translate import number, rows
from b24app.engine.declare import Text
from b24app.pictures import PICTURE, Picture
from b24app.store.applied import AppliedRow
from install.wanted import Record, Step


@dataclass(frozen=True)
class Drive:
    """The storage of the application: its id, None where it may not be asked, and its files by name."""

    storage_id: int | None = None
    files: Mapping[str, int] = field(default_factory=dict)


def reads(pictures: Mapping[str, Picture]) -> dict[str, Call]:
    """Returns the calls, for one batch, that `drive_of` understands the answers of."""
    if not pictures:
        return {}
    names = [picture.drive_name for picture in pictures.values()]
    listed = {"id": result_of("storage", "ID"), "filter": {"@NAME": names}}
    return {"storage": Call("disk.storage.getForApp"), "files": Call("disk.storage.getChildren", listed)}


def drive_of(results: Mapping[str, Any]) -> Drive:
    """Returns what stands there; a list that could not be read is no storage."""
    storage = results.get("storage")
    if not isinstance(storage, Mapping) or "files" not in results:
        return Drive()
    files = {str(row.get("NAME")): id for row in rows(results["files"]) if (id := number(row.get("ID")))}
    return Drive(number(storage.get("ID")), files)


def picture_steps(
    wanted: Sequence[str], pictures: Mapping[str, Picture], drive: Drive, known: Mapping[str, AppliedRow]
) -> Iterator[Step]:
    """Yields what there is to do about every picture; none of it keeps the process from being applied."""
    for name in wanted:
        key = f"{PICTURE}{name}"
        what = {"ru": f"Картинка-памятка {name} для задач", "en": f"Memo picture {name} for tasks"}
        picture = pictures.get(name)
        if picture is None:
            note = _both("файла нет рядом с плейбуком", "there is no such file beside the playbook")
            yield Step(key, what, "impossible", note=note)
        elif drive.storage_id is None:
            note = _both(
                "в задаче будет ссылка на неё; чтобы вложить её, добавьте право «disk» и повторите",
                "tasks will link to it; add the permission “disk” and repeat to have it attached",
            )
            yield Step(key, what, "impossible", note=note)
        elif picture.drive_name in drive.files:
            yield Step(key, what, "present", records=(Record(key, str(drive.files[picture.drive_name]), made=True),))
        else:
            before = known[key].portal_id if key in known else ""
            content = base64.b64encode(picture.drive_body).decode()
            params = {
                "id": drive.storage_id,
                "data": {"NAME": picture.drive_name},
                "fileContent": [picture.drive_name, content],
            }
            upload = Call("disk.storage.uploadFile", params)
            yield Step(key, what, "add", upload, records=(Record(key, before, made=True),))


def _both(ru: str, en: str) -> Text:
    return {"ru": ru, "en": en}
