"""plan, apply, undo, export on a sandbox portal: half of it there already, answers lost, killed after every command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from b24app import config
from b24app.bitrix.oauth import Pair
from b24app.engine.declare import Catalogue
from b24app.errors import AccessDenied
from b24app.pages import PLACEMENTS
from b24app.playbook import parse_playbook
from b24app.services import build
from b24app.store.applied import Applied
from b24app.store.portals import learn, portal_of
from handlers import HANDLERS, TIMERS
from install import console
from install.apply import apply, plan, undo
from install.carry_out import Line, admit, finish_owed, owe
from robots import ROBOTS
from sandbox.client import Sandbox

from .office import Office, running_office

LEAD = 1
OWN_FIELDS = ("THEME", "CLIENT_TYPE", "PRELIMINARY_SUM", "ADDRESS", "DECLINE", "MEASURER", "MEASURE_AT")


class Ground:
    """A fresh portal, our services beside it in this process, and the portal's REST with an administrator's rights."""

    def __init__(self, folder: Path, portal: Sandbox, redis_url: str) -> None:
        ready = portal.ready
        self.portal = portal
        self.member_id = ready["member_id"]
        self.config = folder / "config.toml"
        self.config.write_text(
            f"""[app]
public_url = "http://127.0.0.1:9"
secret_key = "{"journey" * 8}"
[bitrix24]
oauth_url = "{ready["oauth_url"]}"
[[portals]]
host = "{ready["url"].removeprefix("http://")}"
client_id = "{ready["client_id"]}"
client_secret = "{ready["client_secret"]}"
[database]
url = "sqlite:///{folder / "apply.db"}"
[redis]
url = "{redis_url}"
""",
            "utf-8",
        )
        self.services = build(config.load(self.config), Catalogue(ROBOTS, HANDLERS, TIMERS, PLACEMENTS), redis_url)
        self.services.redis.flushdb()
        self.services.database.migrate()
        admit(
            self.services,
            member_id=self.member_id,
            application_token=ready["application_token"],
            pair=Pair(ready["access_token"], ready["refresh_token"], datetime.now(UTC) + timedelta(hours=1)),
        )

    def rest(self, method: str, **params: Any) -> Any:
        answer = self.portal.session.post(
            f"{self.portal.ready['webhook']}{method}.json", json=params, timeout=30
        ).json()
        assert "error" not in answer, (method, answer)
        return answer["result"]

    def apply(self) -> list[Line]:
        return list(apply(self.services, self.member_id))

    def undo(self) -> list[Line]:
        return list(undo(self.services, self.member_id))

    def changes(self) -> list[str]:
        return [step.key for step in plan(self.services, self.member_id) if step.call is not None]

    def mapping(self) -> dict[str, str]:
        return dict(Applied(self.services.database, self.member_id).mapping())

    def state(self) -> str:
        row = portal_of(self.services.database, self.member_id)
        assert row is not None
        return str(row.facts.get("process"))

    def scale(self) -> list[str]:
        rows = self.rest("crm.status.list", filter={"ENTITY_ID": "STATUS"}, order={"SORT": "ASC"})
        return [row["STATUS_ID"] for row in rows]

    def fields(self) -> list[dict[str, Any]]:
        return list(self.rest("crm.lead.userfield.list", filter={"LANG": "ru"}))

    def refresh(self) -> None:
        """Lets the access token expire: the next one has the scopes of today's card."""
        body = {"action": "expire", "client_id": self.portal.client_id}
        self.portal.control("POST", "tokens", body)

    def picture(self) -> Any:
        """Everything that an administrator set up, for comparing before and after."""
        stages = [
            (row["STATUS_ID"], row["NAME"], row["SORT"], row["COLOR"])
            for entity in ("STATUS", "DEAL_STAGE")
            for row in self.rest("crm.status.list", filter={"ENTITY_ID": entity}, order={"SORT": "ASC"})
        ]
        fields = [
            (row["FIELD_NAME"], row["EDIT_FORM_LABEL"], [value["VALUE"] for value in row.get("LIST", [])])
            for row in self.fields()
        ]
        layout = self.rest("crm.item.details.configuration.get", entityTypeId=LEAD, scope="C")
        return stages, fields, layout

    def effects(self, since: int) -> list[dict[str, Any]]:
        kinds = ("status", "userfield", "layout")
        return [entry for entry in self.portal.ledger(since, "effect") if entry["type"] in kinds]

    def command(self, *arguments: str, crash: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "b24app", "--config", str(self.config), *arguments],
            env={**os.environ, "B24APP_CRASH_AT": crash},
            capture_output=True,
            text=True,
            timeout=60,
        )


@pytest.fixture
def ground(tmp_path: Path, redis_url: str) -> Iterator[Ground]:
    with Sandbox.start("--no-limits") as portal:
        made = Ground(tmp_path, portal, redis_url)
        yield made
        made.services.dispose()


def failed(lines: list[Line]) -> list[str]:
    return [line.text["ru"] for line in lines if line.state == "failed"]


def test_k33_a_plan_changes_nothing_and_applying_does_what_it_said_once(ground: Ground) -> None:
    before, last = ground.picture(), ground.portal.last
    planned = ground.changes()
    assert "lead.stage:offer_sent" in planned
    assert "lead.decline" in planned
    assert ground.picture() == before
    assert ground.effects(last) == []
    assert failed(ground.apply()) == []
    assert ground.state() == "applied"
    assert ground.scale() == [
        "NEW", "IN_PROCESS", "B24_OFFER_SENT", "B24_MEASUREMENT", "PROCESSED", "CONVERTED", "JUNK",
    ]  # fmt: skip
    assert {row["FIELD_NAME"] for row in ground.fields()} == {f"UF_CRM_B24_{name}" for name in OWN_FIELDS}
    assert ground.changes() == []
    last = ground.portal.last
    assert failed(ground.apply()) == []
    assert ground.effects(last) == []


def test_k33_what_is_there_under_other_names_is_taken_over_and_stays(ground: Ground) -> None:
    ground.rest(
        "crm.status.add",
        fields={"ENTITY_ID": "STATUS", "STATUS_ID": "UC_SENT", "NAME": "Каталог и КП отправлены", "SORT": 25},
    )
    ground.rest(
        "crm.lead.userfield.add",
        fields={
            "FIELD_NAME": "KIND", "USER_TYPE_ID": "enumeration", "LABEL": "Тип клиента",
            "LIST": [{"VALUE": "Дизайнер"}, {"VALUE": "Застройщик"}],
        },
    )  # fmt: skip
    ground.rest(
        "crm.lead.userfield.add", fields={"FIELD_NAME": "T", "USER_TYPE_ID": "string", "LABEL": "Тема обращения"}
    )
    kind = next(row for row in ground.fields() if row["FIELD_NAME"] == "UF_CRM_KIND")
    designer = next(value["ID"] for value in kind["LIST"] if value["VALUE"] == "Дизайнер")
    lead = ground.portal.create_item(
        LEAD, {"title": "Их лид", "stageId": "UC_SENT", "ufCrmKind": designer, "ufCrmT": "Их"}
    )
    assert failed(ground.apply()) == []
    mapping = ground.mapping()
    assert mapping["lead.stage:offer_sent"] == "UC_SENT"
    assert mapping["lead.field:theme"] == "UF_CRM_T"
    assert mapping["lead.value:client_type:designer"] == designer
    assert "B24_OFFER_SENT" not in ground.scale()
    listed = next(row["LIST"] for row in ground.fields() if row["FIELD_NAME"] == "UF_CRM_KIND")
    assert [value["VALUE"] for value in listed] == ["Дизайнер", "Застройщик", "Конечный клиент", "Дилер"]
    assert ground.changes() == []
    ground.undo()
    listed = next(row["LIST"] for row in ground.fields() if row["FIELD_NAME"] == "UF_CRM_KIND")
    assert [value["VALUE"] for value in listed] == ["Дизайнер", "Застройщик"]
    assert "UC_SENT" in ground.scale()
    number = int(lead.get("id") or lead["item"]["id"])
    left = ground.rest("crm.item.get", entityTypeId=LEAD, id=number, useOriginalUfNames="Y")["item"]
    assert (left["stageId"], str(left["UF_CRM_KIND"]), left["UF_CRM_T"]) == ("UC_SENT", designer, "Их")


def test_k33_undo_gives_the_portal_back(ground: Ground) -> None:
    ground.rest("crm.item.details.configuration.set", entityTypeId=LEAD, scope="C", data=[
        {"name": "main", "title": "О лиде", "type": "section", "elements": [{"name": "TITLE", "optionFlags": 1}]}
    ])  # fmt: skip
    before = ground.picture()
    assert failed(ground.apply()) == []
    assert [one["name"] for one in ground.picture()[2]] == ["main", "b24app_process"]
    assert failed(ground.undo()) == []
    assert ground.picture() == before
    assert ground.mapping() == {}
    assert ground.state() == "undone"


def test_k33_undo_leaves_every_stage_and_field_that_holds_data(ground: Ground) -> None:
    ground.apply()
    price = ground.mapping()["lead.decline:price"]
    ground.portal.create_item(LEAD, {"title": "Наш", "stageId": "B24_MEASUREMENT", "ufCrmB24Theme": "Угловая"})
    ground.portal.create_item(LEAD, {"title": "Ещё", "stageId": "JUNK", "ufCrmB24Decline": price})
    lines = ground.undo()
    assert [line.text["ru"] for line in lines if line.state == "note"] == [
        "Поле «Тема обращения»", "Поле «Причина отказа»", "Стадия «Замер назначен»",
        "Картинки-памятки на Диске приложения",
    ]  # fmt: skip
    assert "B24_MEASUREMENT" in ground.scale()
    assert "B24_OFFER_SENT" not in ground.scale()
    assert {row["FIELD_NAME"] for row in ground.fields()} == {"UF_CRM_B24_THEME", "UF_CRM_B24_DECLINE"}
    kept = set(ground.mapping())
    assert {"lead.stage:measurement", "lead.field:theme", "lead.decline", "lead.decline:price"} <= kept
    for row in ground.rest("crm.item.list", entityTypeId=LEAD, filter={"stageId": ["B24_MEASUREMENT", "JUNK"]})[
        "items"
    ]:
        if row["title"] in ("Наш", "Ещё"):
            ground.rest("crm.item.delete", entityTypeId=LEAD, id=row["id"])
    assert failed(ground.undo()) == []
    assert ground.mapping() == {}


@pytest.mark.parametrize(
    "method", ["crm.status.add", "crm.status.update", "crm.lead.userfield.add", "disk.storage.uploadFile"]
)
@pytest.mark.parametrize("effect", ["drop", "html"])
def test_a_lost_answer_is_looked_up_and_nothing_is_made_twice(ground: Ground, method: str, effect: str) -> None:
    ground.portal.control("POST", "faults", {"method": method, "when": "after", "effect": effect, "count": 1})
    assert failed(ground.apply()) == []
    assert ground.changes() == []
    made = [entry["code"] for entry in ground.effects(0) if entry["change"] == "create"]
    assert len(made) == len(set(made)) == 2 + len(OWN_FIELDS)
    assert len([entry for entry in ground.portal.ledger(0, "effect") if entry["type"] == "file"]) == 1
    rows = Applied(ground.services.database, ground.member_id).rows()
    assert {row.name for row in rows if row.made and ("stage" in row.name or "field" in row.name)} == {
        "lead.stage:offer_sent", "lead.stage:measurement", "lead.field:theme", "lead.field:client_type",
        "lead.field:preliminary_sum", "lead.field:address", "lead.field:measurer", "lead.field:measure_at",
    }  # fmt: skip


def test_k14_the_memo_picture_waits_for_the_scope_disk_and_is_uploaded_once(ground: Ground) -> None:
    (application,) = ground.portal.control("GET", "applications")
    scopes = application["scopes"]
    ground.portal.application(scopes=[scope for scope in scopes if scope != "disk"])
    lines = ground.apply()
    assert failed(lines) == []
    (told,) = [line for line in lines if line.text["ru"].startswith("Картинка-памятка")]
    assert told.state == "note"
    assert told.advice is not None
    assert "«disk»" in told.advice["ru"]
    assert (ground.state(), "picture:offer.svg" in ground.mapping()) == ("applied", False)
    ground.portal.application(scopes=scopes)
    ground.refresh()
    assert failed(ground.apply()) == []
    file_id = ground.mapping()["picture:offer.svg"]
    ground.apply()
    assert ground.mapping()["picture:offer.svg"] == file_id
    assert len([entry for entry in ground.portal.ledger(0, "effect") if entry["type"] == "file"]) == 1


def test_a_portal_that_stays_silent_is_told_and_gone_on_with(ground: Ground) -> None:
    ground.portal.control(
        "POST", "faults", {"method": "crm.status.add", "when": "before", "effect": "drop", "count": 99}
    )
    assert len(failed(ground.apply())) >= 1
    assert ground.state() != "applied"
    ground.portal.control("DELETE", "faults")
    assert failed(ground.apply()) == []
    assert ground.state() == "applied"


def test_a_refusal_of_one_thing_is_told_and_the_rest_is_done(ground: Ground) -> None:
    refusal = {"effect": "error", "status": 400, "error": "ERROR_CORE", "error_description": "Достигнут предел стадий"}
    ground.portal.control("POST", "faults", {"method": "crm.status.add", "when": "before", "count": 1, **refusal})
    lines = ground.apply()
    told = next(line for line in lines if line.state == "failed")
    assert told.text["ru"] == "Стадия лидов «Каталог и КП отправлены»"
    assert told.advice is not None
    assert "предел стадий" in told.advice["ru"]
    assert ground.state() == "unfinished"
    assert "lead.stage:offer_sent" not in ground.mapping()
    assert "lead.decline:price" in ground.mapping()
    assert failed(ground.apply()) == []
    assert ground.state() == "applied"


def test_killed_after_every_single_command_it_goes_on_where_it_stood(ground: Ground, tmp_path: Path) -> None:
    died = 0
    for number in range(40):
        ended = ground.command("apply", crash=f"apply_after_call:{tmp_path / f'applied{number}'}")
        if ended.returncode != -signal.SIGKILL:
            break
        died += 1
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert died == 3 + 2 + len(OWN_FIELDS) + 1  # names, stages, fields, a picture
    assert ground.state() == "applied"
    assert ground.changes() == []
    rows = {row.name: row for row in Applied(ground.services.database, ground.member_id).rows()}
    assert rows["lead.stage:new"].before == {"was": {"NAME": "Не обработан"}, "set": {"NAME": "Новый"}}
    assert all(row.made for name, row in rows.items() if not name.startswith("lead.stage:"))
    for number in range(40):
        ended = ground.command("undo", crash=f"apply_after_call:{tmp_path / f'undone{number}'}")
        if ended.returncode != -signal.SIGKILL:
            break
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ground.mapping() == {}
    assert ground.scale() == ["NEW", "IN_PROCESS", "PROCESSED", "CONVERTED", "JUNK"]
    assert ground.fields() == []


def test_killed_before_the_first_command_nothing_is_claimed_that_is_not_there(ground: Ground, tmp_path: Path) -> None:
    before = ground.picture()
    ended = ground.command("apply", crash=f"apply_before_call:{tmp_path / 'marker'}")
    assert ended.returncode == -signal.SIGKILL
    assert ground.state() == "applying"
    assert ground.picture() == before
    assert failed(ground.undo()) == []
    assert ground.picture() == before
    assert ground.mapping() == {}


def test_the_commands_print_plain_words_and_say_what_a_person_has_to_do(ground: Ground) -> None:
    host = ground.portal.url.removeprefix("http://")
    planned = ground.command("plan", "--portal", host)
    assert planned.returncode == 0, planned.stderr
    assert "+ Стадия лидов «Каталог и КП отправлены»" in planned.stdout
    assert "~ Название стадии лидов: «В работе» → «Клиент наш»" in planned.stdout
    ground.rest("crm.lead.userfield.add", fields={"FIELD_NAME": "B24_THEME", "USER_TYPE_ID": "money", "LABEL": "Тема"})
    conflicting = ground.command("plan")
    assert conflicting.returncode == 1
    assert "✘ Поле лидов «Тема обращения»" in conflicting.stdout
    other = ground.command("plan", "--portal", "other.bitrix24.ru")
    assert other.returncode == 2
    assert host in other.stderr


def test_without_leads_their_process_is_left_alone_and_that_is_said(ground: Ground) -> None:
    ground.portal.control("PATCH", "settings", {"mode": 2})
    before = ground.picture()
    lines = ground.apply()
    assert "простом режиме" in next(line.advice["ru"] for line in lines if line.advice and "лидов" in line.text["ru"])
    assert ground.picture() == before


def test_an_exported_portal_is_a_playbook_and_plans_nothing_new(ground: Ground, tmp_path: Path) -> None:
    ground.apply()
    written = ground.command("export")
    assert written.returncode == 0, written.stderr
    playbook = parse_playbook(written.stdout, "exported")
    assert [stage.id for stage in playbook.lead.stages] == ground.scale()
    assert playbook.deal.stages[0].id == "NEW"
    offer = playbook.lead.stage("offer_sent")
    assert offer is not None
    assert offer.evidence[0].kind == "offer_sent"
    path = tmp_path / "exported.toml"
    path.write_text(written.stdout, "utf-8")
    ground.config.write_text(ground.config.read_text() + f'[playbook]\npath = "{path}"\n')
    planned = ground.command("plan")
    assert "Изменений: 0, требуют решения: 0" in planned.stdout


def test_a_portal_that_refuses_everything_is_said_in_words(ground: Ground, capsys: pytest.CaptureFixture[str]) -> None:
    refusal = {"effect": "error", "status": 403, "error": "ACCESS_DENIED", "error_description": "Access denied!"}
    ground.portal.control("POST", "faults", {"method": "*", "when": "before", "count": 50, **refusal})
    with pytest.raises(AccessDenied):
        plan(ground.services, ground.member_id)
    assert console.run(ground.services, "plan", "") == 1
    assert "✘" in capsys.readouterr().err


# what an accepted installation or update owes


def test_an_interrupted_installation_is_finished_once_it_is_due(ground: Ground) -> None:
    owe(ground.services, ground.member_id)
    finish_owed(ground.services)
    assert not _bound(ground)
    past = (datetime.now(UTC) - timedelta(minutes=2)).isoformat()
    learn(ground.services.database, ground.member_id, {"in_line_due": past})
    finish_owed(ground.services)
    row = portal_of(ground.services.database, ground.member_id)
    assert row is not None
    assert row.facts["in_line"] is True
    assert _bound(ground)
    last = ground.portal.last
    finish_owed(ground.services)
    assert ground.portal.ledger(last, "request") == []


def _bound(ground: Ground) -> bool:
    token = ground.portal.token_of(1)
    answer = ground.portal.session.post(f"{ground.portal.url}/rest/event.get", json={"auth": token}, timeout=30).json()
    return any(row["event"] == "ONCRMLEADADD" for row in answer["result"])


def test_an_accepted_update_survives_the_death_of_the_web(tmp_path: Path) -> None:
    with running_office(tmp_path, "--no-limits", workers=1) as office:
        slow = {"method": "bizproc.robot.list", "when": "before", "effect": "delay", "seconds": 20, "count": 1}
        office.control("POST", "faults", slow)
        last = office.portal.last
        office.control("POST", f"applications/{office.portal.client_id}/update", {"version": 2})
        office.until(lambda: _accepted(office, last), "the update is accepted")
        office.kill("web")
        office.control("DELETE", "faults")
        _unbind_all(office)
        past = (datetime.now(UTC) - timedelta(minutes=2)).isoformat()
        learn(office.database, office.portal.ready["member_id"], {"in_line_due": past})
        office.until(lambda: _rows(office), "the clock binds the events again")


def _accepted(office: Office, last: int) -> bool:
    events = office.portal.ledger(last, "event")
    return any(entry["event"] == "ONAPPUPDATE" and entry["status"] == 200 for entry in events)


def _rows(office: Office) -> list[Any]:
    token = office.portal.token_of(1)
    answer = office.portal.session.post(f"{office.portal.url}/rest/event.get", json={"auth": token}, timeout=30)
    return [row for row in answer.json()["result"] if row["event"] == "ONCRMLEADADD"]


def _unbind_all(office: Office) -> None:
    token = office.portal.token_of(1)
    for row in _rows(office):
        body = {"auth": token, "event": row["event"], "handler": row["handler"]}
        office.portal.session.post(f"{office.portal.url}/rest/event.unbind", json=body, timeout=30)
    assert _rows(office) == []


# the page's buttons over HTTP


def test_the_administrator_rolls_out_from_the_page_and_nobody_else(tmp_path: Path) -> None:
    with running_office(tmp_path, "--no-limits", workers=1) as office:
        body, page_pass = office.page_pass()
        assert "План внедрения" in body
        planned = office.press("/app/plan/show")
        assert planned["changes"] == 12
        heads = {"Authorization": f"Bearer {page_pass}"}
        answer = office.http.post(f"{office.url}/app/plan/apply", headers=heads, timeout=60)
        lines = [json.loads(line) for line in answer.text.splitlines()]
        assert [line for line in lines if line["look"] == "failed"] == []
        assert "Стадия лидов «Замер назначен»" in [line["text"] for line in lines if line["look"] == "done"]
        assert "внедрён на портале" in office.page_pass()[0]
        assert office.press("/app/plan/show")["changes"] == 0
        managers_page, managers_pass = office.page_pass(4)
        assert "План внедрения" not in managers_page
        for action, method in (("show", "post"), ("apply", "post"), ("undo", "post")):
            refused = office.http.request(
                method,
                f"{office.url}/app/plan/{action}",
                headers={"Authorization": f"Bearer {managers_pass}"},
                timeout=30,
            )
            assert refused.status_code == 403
        assert office.http.post(f"{office.url}/app/plan/burn", headers=heads, timeout=30).status_code == 404
        assert office.http.post(f"{office.url}/app/plan/undo", timeout=30).status_code == 403
        undone = office.http.post(f"{office.url}/app/plan/undo", headers=heads, timeout=60)
        assert "failed" not in [json.loads(line)["look"] for line in undone.text.splitlines()]
        assert "убран с портала" in office.page_pass()[0]
