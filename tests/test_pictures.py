"""Memo pictures: which file is shown, which one tasks get, and that both are the same drawing."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path

import pytest

from b24app.pictures import named, pictures
from b24app.playbook import Playbook, load_playbook, parse_playbook

PNG = b"\x89PNG\r\n\x1a\n"


STAGE = """name = "x"
[[lead.stages]]
key = "new"
id = "NEW"
name = { ru = "Новый", en = "New" }
tasks = [{ key = "one", title = "x", picture = "PICTURE" }]
"""


def asking_for(name: str) -> Playbook:
    return parse_playbook(STAGE.replace("PICTURE", name), "x")


def test_k14_tasks_get_the_png_of_the_memo_and_it_was_made_of_this_very_drawing() -> None:
    playbook = load_playbook()
    memo = pictures(playbook, "")["offer.svg"]
    assert memo.content_type == "image/svg+xml"
    assert memo.drive_body == files("playbooks").joinpath("offer.png").read_bytes()
    assert memo.drive_body.startswith(PNG)
    source = hashlib.sha256(memo.body).hexdigest()
    assert f"Source\0offer.svg sha256:{source}".encode() in memo.drive_body, "draw offer.png anew from offer.svg"
    assert memo.drive_name == f"offer-{hashlib.sha256(memo.drive_body).hexdigest()[:12]}.png"
    assert len(memo.drive_body) < 100_000


@pytest.mark.parametrize("name", ["memo.svg", "memo.png", "memo.jpeg"])
def test_a_picture_without_a_png_beside_it_is_uploaded_as_it_is(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"drawing")
    memo = pictures(asking_for(name), str(tmp_path / "mine.toml"))[name]
    assert (memo.body, memo.drive_body) == (b"drawing", b"drawing")
    assert memo.drive_name.rpartition(".")[2] == name.rpartition(".")[2]


@pytest.mark.parametrize("name", ["../secret.png", "sub/memo.png", "config.toml", "absent.png"])
def test_nothing_but_pictures_beside_the_playbook_is_found(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.png").write_bytes(b"x")
    inside = tmp_path / "here"
    (inside / "sub").mkdir(parents=True)
    (inside / "sub" / "memo.png").write_bytes(b"x")
    (inside / "config.toml").write_bytes(b"x")
    playbook = asking_for(name)
    assert named(playbook) == (name,)
    assert pictures(playbook, str(inside / "mine.toml")) == {}


def test_another_content_is_another_name_and_address(tmp_path: Path) -> None:
    seen = []
    for folder, body in (("a", b"one"), ("b", b"two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "memo.png").write_bytes(body)
        memo = pictures(asking_for("memo.png"), str(tmp_path / folder / "mine.toml"))["memo.png"]
        seen.append((memo.url, memo.drive_name))
    assert len({part for pair in seen for part in pair}) == 4
