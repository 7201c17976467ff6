"""What applications and people see: doors, batch, tokens, rights, events, robots, calls, faults, limits."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
import requests
from b24pysdk.credentials import OAuthEventData, OAuthPlacementData, OAuthWorkflowData
from conftest import Listener  # type: ignore[import-not-found]

from sandbox.client import ControlFailed, Sandbox


def post(url: str, **arguments: Any) -> requests.Response:
    return requests.post(url, timeout=20, **arguments)


def lead_of(portal: Sandbox, **fields: Any) -> int:
    return int(portal.result("crm.item.add", {"entityTypeId": 1, "fields": {"title": "Лид", **fields}})["item"]["id"])


# --- doors ----------------------------------------------------------------------------------------------------------


def test_every_way_in_reaches_the_same_method(portal: Sandbox) -> None:
    hook, url, token = portal.ready["webhook"], portal.url, portal.ready["access_token"]
    answers = [
        requests.get(f"{hook}profile", timeout=9),
        requests.get(f"{hook}/profile.json/", timeout=9),
        post(f"{hook}pRoFiLe.JSON?bx24_request_id=1&bx24_sdk_ver=2", json=[]),
        post(f"{url}/rest//profile/", json={"auth": token}),
        post(f"{url}/rest/profile.json?auth={token}", data={"x": "1"}),
        requests.get(f"{url}/rest/profile", params={"auth": token}, timeout=9),
        post(f"{url}/rest/profile", data={"access_token": token}),
        requests.get(f"{url}/rest/profile", headers={"Authorization": f"Bearer {token}"}, timeout=9),
        post(f"{url}/rest/profile", files={"auth": (None, token)}),
    ]
    assert {answer.json()["result"]["ID"] for answer in answers} == {"1"}


def test_an_answer_comes_as_xml_where_the_address_says_so(portal: Sandbox) -> None:
    hook = portal.ready["webhook"]
    lead = lead_of(portal, title="<Кухня> & \x01стол", isManualOpportunity="Y")
    answer = requests.get(f"{hook}batch.xml?cmd[a]=crm.lead.get%3Fid%3D{lead}&cmd[1]=crm.lead.fields", timeout=9)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/xml; charset=utf-8")
    parsed = ElementTree.fromstring(answer.content)  # noqa: S314 - the sandbox wrote it
    assert parsed.tag == "response"
    assert parsed.findtext("result/result/a/ID") == str(lead)
    assert parsed.findtext("result/result/a/TITLE") == "<Кухня> & стол"
    assert parsed.findtext("result/result/item/ID/isReadOnly") == "1"
    assert parsed.findtext("time/date_start")
    refused = requests.get(f"{hook}crm.lead.get.XML?id=0", timeout=9)
    assert (refused.status_code, refused.text) == (
        400,
        '<?xml version="1.0" ?>\n<response><error></error>'
        "<error_description>ID is not defined or invalid.</error_description></response>",
    )


def test_forms_json_and_queries_say_the_same(portal: Sandbox) -> None:
    hook = portal.ready["webhook"]
    form = {"fields[TITLE]": "a", "fields[PHONE][0][VALUE]": "+79000000001", "fields[PHONE][0][VALUE_TYPE]": "WORK"}
    by_form = post(hook + "crm.lead.add", data=form).json()["result"]
    by_query = post(
        hook
        + "crm.lead.add?fields%5BTITLE%5D=a&fields[PHONE][0][VALUE]=%2B79000000001&fields[PHONE][0][VALUE_TYPE]=WORK"
    ).json()["result"]
    by_json = portal.result(
        "crm.lead.add", {"fields": {"TITLE": "a", "PHONE": [{"VALUE": "+79000000001", "VALUE_TYPE": "WORK"}]}}
    )
    leads = [portal.result("crm.lead.get", {"id": number}) for number in (by_form, by_query, by_json)]
    assert {(lead["TITLE"], lead["PHONE"][0]["VALUE"]) for lead in leads} == {("a", "+79000000001")}


def test_positional_parameters_follow_the_documented_order(portal: Sandbox) -> None:
    task = portal.result("tasks.task.add", {"fields": {"TITLE": "t", "RESPONSIBLE_ID": 4}})["task"]["id"]
    item = post(portal.ready["webhook"] + "task.checklistitem.add", json=[int(task), {"TITLE": "по порядку"}]).json()[
        "result"
    ]
    by_batch = portal.result("batch", {"cmd": [f"task.checklistitem.get?0={task}&1={item}"]})
    assert by_batch["result"][0]["TITLE"] == "по порядку"


def test_a_wrong_way_in_gets_the_documented_refusal(portal: Sandbox) -> None:
    url = portal.url
    cases = {
        f"{url}/rest/1/wrong/profile": (401, "INVALID_CREDENTIALS"),
        f"{url}/rest/profile": (401, "NO_AUTH_FOUND"),
        f"{url}/rest/profile?auth=wrong": (401, "NO_AUTH_FOUND"),
        f"{portal.ready['webhook']}no.such.method": (404, "ERROR_METHOD_NOT_FOUND"),
        f"{portal.ready['webhook']}bizproc.robot.list": (403, "ACCESS_DENIED"),
        f"{portal.ready['webhook']}event.get": (403, "WRONG_AUTH_TYPE"),
    }
    seen = {case: requests.get(case, timeout=9) for case in cases}
    assert {case: (answer.status_code, answer.json()["error"]) for case, answer in seen.items()} == cases


def test_scopes_limit_a_token_and_statuses_follow_the_switch(portal: Sandbox) -> None:
    portal.application(scopes=["crm"])
    token = portal.token_of(1)
    answer = post(f"{portal.url}/rest/user.current", json={"auth": token})
    assert (answer.status_code, answer.json()["error"]) == (401, "insufficient_scope")
    portal.control("PATCH", "settings", {"statuses": "docs"})
    assert post(f"{portal.url}/rest/user.current", json={"auth": token}).status_code == 403
    assert portal.result("scope", token=token) == ["crm"]
    assert portal.result("method.get", {"name": "user.get"}, token=token) == {"isExisting": True, "isAvailable": False}


def test_access_codes_are_named(filtered: Sandbox) -> None:
    everybody = {"provider": "", "provider_id": "other"}
    assert filtered.result("access.name", {"ACCESS": ["G2", "AU", "U4", "U999", "x"]}) == {
        "G2": {"name": "Все посетители", **everybody},
        "AU": {"name": "Все авторизованные пользователи", **everybody},
        "U4": {"provider": "Пользователи", "name": "Анна Кузнецова", "provider_id": "user"},
    }
    for asked, answer in (({}, False), ({"ACCESS": []}, False), ({"ACCESS": ["U999"]}, [])):
        assert filtered.result("access.name", asked) == answer


# --- batch ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "code", "text", "statuses"),
    [
        ("app.info", "ACCESS_DENIED", "Access denied! Application context required", (403, 400)),
        ("disk.storage.getForApp", "ACCESS_DENIED", "Access denied! Application context required", (403, 400)),
        ("crm.automation.trigger.add", "ACCESS_DENIED", "Access denied! Application context required", (403, 400)),
        ("placement.bind", "WRONG_AUTH_TYPE", "Current authorization type is denied for this method", (403, 403)),
        *(
            (f"{whose}.option.{verb}", "AccessException", "Application context required", (400, 400))
            for whose in ("app", "user")
            for verb in ("get", "set")
        ),
    ],
)
def test_a_webhook_is_refused_where_an_application_is_needed(
    portal: Sandbox, method: str, code: str, text: str, statuses: tuple[int, int]
) -> None:
    for switch, status in zip(("sdk", "docs"), statuses, strict=True):
        portal.control("PATCH", "settings", {"statuses": switch})
        answer = post(portal.ready["webhook"] + method)
        assert (answer.status_code, answer.json()) == (status, {"error": code, "error_description": text})


def test_options_are_kept_for_the_application_and_for_each_person(portal: Sandbox) -> None:
    plain_user = portal.token_of(4)
    for whose in ("app", "user"):
        portal.result(f"{whose}.option.set", {"options": {"data": "value"}}, token=portal.ready["access_token"])
        empty = post(
            f"{portal.url}/rest/{whose}.option.set", json={"options": {}, "auth": portal.ready["access_token"]}
        )
        refused = {"error": "ArgumentNullException", "error_description": "options is empty"}
        assert (empty.status_code, empty.json()) == (400, refused)
    assert portal.result("app.option.get", {"option": "data"}, token=plain_user) == "value"
    assert portal.result("user.option.get", {"option": "data"}, token=plain_user) is None
    not_allowed = portal.call("app.option.set", {"options": {"data": "x"}}, token=plain_user)
    assert not_allowed == {"error": "AccessException", "error_description": "Administrator authorization required"}


@pytest.mark.parametrize(
    ("method", "params", "text", "argument"),
    [
        ("placement.bind", {}, "Argument 'PLACEMENT' is null or empty", "PLACEMENT"),
        ("placement.bind", {"PLACEMENT": "LEFT_MENU"}, "Argument 'HANDLER' is null or empty", "HANDLER"),
        ("entity.add", {}, "Argument 'ENTITY' is null or empty", "ENTITY"),
        ("entity.get", {"ENTITY": "x" * 99}, "Entity code is too long. Max length is 13 characters.", ""),
        ("user.add", {"EMAIL": "x"}, "wrong_email", ""),
        ("disk.storage.get", {}, "Invalid value of parameter {Parameter #0}", None),
    ],
)
def test_a_wrong_argument_is_named(
    filtered: Sandbox, method: str, params: dict[str, Any], text: str, argument: str | None
) -> None:
    answer = filtered.call(method, params, token=filtered.ready["access_token"])
    named = {} if argument is None else {"argument": argument}
    assert answer == {"error": "ERROR_ARGUMENT", "error_description": text, **named}


@pytest.mark.parametrize("shape", ["object", "list"])
def test_batch_feeds_results_into_later_commands(portal: Sandbox, shape: str) -> None:
    make = "crm.lead.add?fields%5BTITLE%5D=a%26b&__order=order0000000000&"
    commands: Any = {
        "made": make,
        "read": "crm.lead.get.json?id=$result[made]",
        "list": "crm.item.list?entityTypeId=1&filter[id]=$result[read][ID]",
    }
    if shape == "list":
        commands = [make, "crm.lead.get?ID=$result[0]", "crm.item.list?entityTypeId=1&filter[id]=$result[1][ID]"]
    answer = portal.result("batch", {"halt": 0, "cmd": commands})
    results = list(answer["result"].values()) if shape == "object" else answer["result"]
    assert results[1]["TITLE"] == "a&b"
    assert results[2]["items"][0]["id"] == results[0]
    assert answer["result_error"] == []


def test_batch_answers_200_with_inner_errors_and_halts_on_demand(portal: Sandbox) -> None:
    commands = {"a": "crm.lead.get?id=99999", "b": "batch?cmd[x]=profile", "c": "profile"}
    going = portal.result("batch", {"cmd": commands})
    assert going["result_error"]["a"] == {"error": "", "error_description": "Not found"}
    assert going["result_error"]["b"]["error"] == "ERROR_BATCH_METHOD_NOT_ALLOWED"
    assert going["result"]["c"]["ID"] == "1"
    assert going["result_total"] == []
    assert "operating" in going["result_time"]["c"]
    halted = portal.result("batch", {"cmd": commands, "halt": 1})
    assert halted["result"] == []
    assert list(halted["result_error"]) == ["a"]
    for halt, refused in ((0, 2), (1, 1)):
        too_many = portal.result("batch", {"cmd": {f"c{n}": "profile" for n in range(52)}, "halt": halt})
        assert len(too_many["result"]) == 50
        assert {one["error"] for one in too_many["result_error"].values()} == {"ERROR_BATCH_LENGTH_EXCEEDED"}
        assert len(too_many["result_error"]) == refused


def test_positional_parameters_may_stand_beside_the_token(portal: Sandbox) -> None:
    """As CRest and BX24.callMethod send them (settings/how-to-call-rest-api/data-encoding.md)."""
    fields = {"TITLE": "Кухня", "RESPONSIBLE_ID": 1}
    task = portal.result("tasks.task.add", {"fields": fields}, token=portal.token_of(1))["task"]["id"]
    url, token = f"{portal.url}/rest/task.checklistitem.add", portal.token_of(1)
    answers = [
        requests.post(url, data={"0": task, "1[TITLE]": "Форма", "auth": token}, timeout=10),
        requests.get(url, {"0": task, "1[TITLE]": "Адрес", "auth": token}, timeout=10),
        requests.post(url, json={"0": task, "1": {"TITLE": "JSON"}, "auth": token}, timeout=10),
        requests.post(url, params={"auth": token}, json=[task, {"TITLE": "Список"}], timeout=10),
        requests.post(url, json=[task, {"TITLE": "Bearer"}], headers={"Authorization": f"Bearer {token}"}, timeout=10),
    ]
    assert [one.status_code for one in answers] == [200] * 5, [one.text for one in answers]
    listed = portal.result("task.checklistitem.getlist", {"TASKID": task}, token=token)
    assert {"Форма", "Адрес", "JSON", "Список", "Bearer"} <= {row["TITLE"] for row in listed}


def test_people_are_found_by_a_pattern(portal: Sandbox) -> None:
    """The example of user-get.md: {"NAME": "Iv%"}."""
    every = portal.result("user.get")
    name = every[0]["NAME"]
    alike = {one["ID"] for one in every if one["NAME"].startswith(name[:2])}
    assert {one["ID"] for one in portal.result("user.get", {"FILTER": {"NAME": f"{name[:2]}%"}})} == alike
    assert portal.result("user.get", {"FILTER": {"NAME": name[:2]}}) == []


# --- CRM ------------------------------------------------------------------------------------------------------------


def test_an_equal_value_saves_nothing_and_tells_nobody(installed: Sandbox, listener: Listener) -> None:
    token = installed.token_of(1)
    installed.result("event.bind", {"event": "onCrmLeadUpdate", "handler": listener.url + "/e"}, token=token)
    number = lead_of(installed, assignedById=4, opportunity=100)
    before = installed.result("crm.item.get", {"entityTypeId": 1, "id": number})["item"]["updatedTime"]
    mark = installed.last
    for fields in ({"assignedById": "4"}, {"opportunity": "100.00"}, {"title": "Лид", "ufCrmUnknown": 5}):
        installed.result("crm.item.update", {"entityTypeId": 1, "id": number, "fields": fields})
    installed.wait_quiet()
    assert listener.posts == []
    assert installed.ledger(mark, "effect") == []
    assert installed.result("crm.item.get", {"entityTypeId": 1, "id": number})["item"]["updatedTime"] == before
    installed.result("crm.item.update", {"entityTypeId": 1, "id": number, "fields": {"assignedById": 5}})
    assert listener.wait(lambda form: form["event"] == "ONCRMLEADUPDATE")[0]["data[FIELDS][ID]"] == str(number)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"title": "бета"}, {"бета"}),
        ({"=title": "Бета"}, {"бета"}),
        ({"!title": "бета"}, {"альфа", "альфа два", "гамма"}),
        ({"%title": "альфа"}, {"альфа", "альфа два"}),
        ({"=%title": "%два"}, {"альфа два"}),
        ({"%=title": "альфа%"}, {"альфа", "альфа два"}),
        ({"!%title": "а"}, set()),
        ({"!=%title": "альфа%"}, {"бета", "гамма"}),
        ({"@assignedById": [5, 6]}, {"бета", "гамма"}),
        ({"!@assignedById": [5, 6]}, {"альфа", "альфа два"}),
        ({"assignedById": [5, 6]}, {"бета", "гамма"}),
        ({">opportunity": 10, "<=opportunity": 30}, {"альфа два", "бета"}),
        ({"><opportunity": [20, 30]}, {"альфа два", "бета"}),
        ({"logic": "OR", "0": {"title": "бета"}, "1": {"assignedById": 6}}, {"бета", "гамма"}),
        ({"assignedById": 4, "0": {"logic": "OR", "0": {"opportunity": 10}, "1": {"opportunity": 30}}}, {"альфа"}),
        ({"!lastName": ""}, {"гамма"}),
        ({"lastName": ""}, {"альфа", "альфа два", "бета"}),
        ({">createdTime": "2020-01-01T00:00:00+03:00", "hasPhone": "Y"}, {"бета"}),
        ({"ASSIGNED_BY_ID": 5}, {"бета"}),
        ({"@assignedById": "5,6"}, {"бета", "гамма"}),
    ],
)
def test_filters_choose_what_the_documentation_says(filtered: Sandbox, given: dict[str, Any], found: set[str]) -> None:
    answer = filtered.result(
        "crm.item.list", {"entityTypeId": 1, "filter": {">id": 6, "0": given}, "select": ["title"]}
    )
    assert {item["title"] for item in answer["items"]} == found
    assert all(set(item) == {"id", "title"} for item in answer["items"])


@pytest.fixture(scope="module")
def filtered() -> Any:
    with Sandbox.start("--no-limits") as portal:
        for title, owner, amount, more in (
            ("альфа", 4, 10, {}), ("альфа два", 4, 20, {}),
            ("бета", 5, 30, {"fm": [{"typeId": "PHONE", "valueType": "WORK", "value": "+79990000000"}]}),
            ("гамма", 6, 40, {"lastName": "Ким"}),
        ):  # fmt: skip
            lead_of(portal, title=title, assignedById=owner, opportunity=amount, **more)
        yield portal


@pytest.mark.parametrize(
    ("params", "error", "text"),
    [
        (
            {"entityTypeId": 1, "filter": {"nothing": 1}},
            "INVALID_ARG_VALUE",
            "field 'nothing' is not allowed in filter",
        ),
        (
            {"entityTypeId": 1, "order": {"nothing": "ASC"}},
            "INVALID_ARG_VALUE",
            "field 'nothing' is not allowed in order",
        ),
        *(
            (
                {"entityTypeId": 1, "filter": given},
                "INVALID_ARG_VALUE",
                f"Invalid filter: field '{name}' has invalid value",
            )
            for name, given in (
                ("id", {"id": "abc"}),
                ("id", {"@id": [1, "abc"]}),
                ("id", {"@id": "1,abc"}),
                ("ID", {">ID": "abc"}),
                ("createdTime", {">=createdTime": "abc"}),
                ("opportunity", {"opportunity": "abc"}),
                ("createdTime", {"logic": "OR", "0": {"id": 1}, "1": {"createdTime": "abc"}}),
            )
        ),
        ({"entityTypeId": 1, "order": {"id": "UP"}}, "INVALID_ARG_VALUE", "But got 'UP' for field 'id'"),
        ({"filter": {}}, "100", "Could not find value for parameter {entityTypeId}"),
        ({"entityTypeId": 156}, "NOT_FOUND", "Смарт-процесс не найден"),
    ],
)
def test_a_wrong_list_is_refused_in_the_documented_words(
    filtered: Sandbox, params: dict[str, Any], error: str, text: str
) -> None:
    answer = filtered.call("crm.item.list", params)
    assert answer["error"] == error
    assert text in answer["error_description"]


def test_phones_come_with_every_field_and_not_by_name(filtered: Sandbox) -> None:
    for select, shown in ((["*"], True), (["id", "fm"], False), ([], True)):
        params = {"entityTypeId": 1, "filter": {"title": "бета"}, "select": select}
        item = filtered.result("crm.item.list", params)["items"][0]
        assert ("fm" in item) is shown, select


def test_lists_come_in_pages_of_fifty(portal: Sandbox) -> None:
    portal.control("POST", "import", {"count": 114, "silent": True})
    first = portal.call("crm.item.list", {"entityTypeId": 1, "order": {"id": "DESC"}})
    assert (len(first["result"]["items"]), first["total"], first["next"]) == (50, 120, 50)
    assert first["result"]["items"][0]["id"] == 120
    last = portal.call("crm.lead.list", {"start": 100})
    assert (len(last["result"]), last["total"]) == (20, 120)
    assert "next" not in last
    uncounted = portal.call("crm.lead.list", {"start": -1, "filter": {">ID": 60}, "order": {"ID": "ASC"}})
    assert [row["ID"] for row in uncounted["result"]][:2] == ["61", "62"]
    assert "next" not in uncounted


def test_multifields_change_only_what_is_named(portal: Sandbox) -> None:
    number = lead_of(portal, fm=[{"typeId": "PHONE", "valueType": "WORK", "value": "+7 900 000-00-01"}])
    first = portal.result("crm.item.get", {"entityTypeId": 1, "id": number})["item"]["fm"][0]["id"]

    def change(fm: dict[str, Any]) -> list[str]:
        item = portal.result("crm.item.update", {"entityTypeId": 1, "id": number, "fields": {"fm": fm}})["item"]
        return [one["value"] for one in item["fm"]]

    assert change({"n0": {"typeId": "PHONE", "valueType": "MOBILE", "value": "+79000000002"}}) == [
        "+7 900 000-00-01",
        "+79000000002",
    ]
    assert change({"n0": {"valueType": "MOBILE", "value": "без типа"}}) == ["+7 900 000-00-01", "+79000000002"]
    assert change({str(first): {"typeId": "PHONE", "value": "+79000000003"}}) == ["+79000000003", "+79000000002"]
    assert change({str(first): {"typeId": "PHONE", "value": ""}}) == ["+79000000002"]
    found = portal.result("crm.duplicate.findbycomm", {"type": "PHONE", "values": ["8 (900) 000-00-02 доб. 5"]})
    assert found == {"LEAD": [number]}
    assert portal.result("crm.duplicate.findbycomm", {"type": "PHONE", "values": ["+79000000003"]}) == []


def test_own_leads_only_means_access_denied_on_foreign_ones(portal: Sandbox) -> None:
    portal.set_person(4, own_leads_only=True)
    token = portal.token_of(4)
    foreign, own = lead_of(portal, assignedById=5), lead_of(portal, assignedById=4)
    assert portal.call("crm.item.get", {"entityTypeId": 1, "id": foreign}, token=token)["error"] == "ACCESS_DENIED"
    assert (
        portal.call("crm.item.update", {"entityTypeId": 1, "id": foreign, "fields": {"title": "x"}}, token=token)[
            "error"
        ]
        == "ACCESS_DENIED"
    )
    assert portal.call("crm.lead.get", {"id": foreign}, token=token)["error_description"] == "Access denied"
    assert portal.result("crm.item.get", {"entityTypeId": 1, "id": own}, token=token)["item"]["id"] == own
    seen = portal.result("crm.item.list", {"entityTypeId": 1, "select": ["assignedById"]}, token=token)["items"]
    assert {item["assignedById"] for item in seen} == {4}
    portal.result("crm.item.update", {"entityTypeId": 1, "id": foreign, "fields": {"observers": [4]}})
    assert portal.result("crm.item.get", {"entityTypeId": 1, "id": foreign}, token=token)["item"]["observers"] == [4]


def test_stage_changes_are_remembered_and_checked(portal: Sandbox) -> None:
    number = lead_of(portal)
    for stage in ("IN_PROCESS", "IN_PROCESS", "JUNK", "NEW"):
        item = portal.result("crm.item.update", {"entityTypeId": 1, "id": number, "fields": {"stageId": stage}})["item"]
    assert item["stageSemanticId"] == "P"
    assert item["dateClosed"] is None
    history = portal.result(
        "crm.stagehistory.list", {"entityTypeId": 1, "filter": {"OWNER_ID": number}, "order": {"ID": "ASC"}}
    )["items"]
    assert [(row["STATUS_ID"], row["TYPE_ID"]) for row in history] == [
        ("NEW", 1),
        ("IN_PROCESS", 2),
        ("JUNK", 3),
        ("NEW", 2),
    ]
    wrong = portal.call("crm.item.update", {"entityTypeId": 1, "id": number, "fields": {"stageId": "NOWHERE"}})
    assert wrong["error"] == "CRM_FIELD_ERROR_VALUE_NOT_VALID"


def test_simple_mode_turns_a_lead_into_a_deal_at_once(portal: Sandbox) -> None:
    portal.control("PATCH", "settings", {"mode": 2})
    assert portal.result("crm.settings.mode.get") == 2
    made = portal.missed_call("+79161112233")
    assert made["lead_id"] is None
    deal = portal.state("deals")[0]
    contact = portal.result("crm.contact.get", {"id": deal["contactId"]})
    assert contact["PHONE"][0]["VALUE"] == "+79161112233"
    lead = portal.result("crm.item.add", {"entityTypeId": 1, "fields": {"title": "x"}})["item"]["id"]
    assert portal.call("crm.item.get", {"entityTypeId": 1, "id": lead})["error"] == "NOT_FOUND"


# --- tokens ---------------------------------------------------------------------------------------------------------


def refresh(portal: Sandbox, **override: str) -> requests.Response:
    params = {
        "grant_type": "refresh_token", "client_id": portal.client_id, "client_secret": portal.ready["client_secret"],
        "refresh_token": portal.ready["refresh_token"], **override,
    }  # fmt: skip
    return requests.get(portal.ready["oauth_url"] + "/oauth/token/", params=params, timeout=9)


def test_a_refresh_gives_a_new_pair_and_kills_the_old_one(portal: Sandbox) -> None:
    fresh = refresh(portal).json()
    keys = {
        "access_token",
        "refresh_token",
        "expires",
        "expires_in",
        "client_endpoint",
        "server_endpoint",
        "domain",
        "member_id",
        "scope",
        "status",
        "user_id",
    }
    assert set(fresh) == keys
    assert fresh["client_endpoint"] == portal.url + "/rest/"
    assert fresh["domain"] == urlsplit(portal.ready["oauth_url"]).netloc
    assert portal.result("profile", token=fresh["access_token"])["ID"] == "1"
    assert portal.call("profile", token=portal.ready["access_token"])["error"] == "NO_AUTH_FOUND"
    assert (refresh(portal).status_code, refresh(portal).json()["error"]) == (400, "invalid_grant")
    assert refresh(portal, client_secret="no").json()["error"] == "invalid_client"
    assert refresh(portal, grant_type="x").json()["error"] == "invalid_request"


def test_an_expired_a_revoked_and_a_dismissed_token_are_told_apart(portal: Sandbox) -> None:
    portal.control("POST", "time", {"shift_seconds": 3601})
    answer = post(f"{portal.url}/rest/profile", json={"auth": portal.ready["access_token"]})
    assert (answer.status_code, answer.json()["error"]) == (401, "expired_token")
    of_four = portal.token_of(4)
    portal.set_person(4, active=False)
    assert portal.call("profile", token=of_four)["error"] == "authorization_error"
    of_five = portal.token_of(5)
    portal.control("POST", "tokens", {"action": "revoke", "client_id": portal.client_id, "user_id": 5})
    assert portal.call("profile", token=of_five)["error"] == "invalid_token"
    portal.application(payment_ended=True)
    assert portal.call("profile", token=portal.token_of(1))["error"] == "PAYMENT_REQUIRED"


def test_the_authorization_server_says_whose_token_it_is(portal: Sandbox) -> None:
    url = portal.ready["oauth_url"] + "/rest/app.info/"
    facts = requests.get(url, params={"auth": portal.ready["access_token"]}, timeout=9).json()["result"]
    assert facts["client_id"] == portal.client_id
    assert facts["user_id"] == 1
    assert facts["install"]["member_id"] == portal.ready["member_id"]
    assert facts["install"]["domain"] == urlsplit(portal.url).netloc
    assert requests.get(url, params={"auth": "no"}, timeout=9).status_code == 401


def test_a_secret_sent_to_the_portal_raises_an_alarm(portal: Sandbox) -> None:
    post(f"{portal.url}/oauth/token/", data={"client_secret": "s"})
    assert len(portal.ledger(kind="alarm")) == 1


def test_the_full_flow_gives_a_code_for_a_token(installed: Sandbox) -> None:
    params = {"client_id": installed.client_id, "state": "s", "user_id": 4}
    answer = requests.get(f"{installed.url}/oauth/authorize/", params=params, allow_redirects=False, timeout=9)
    assert answer.status_code == 302
    assert "state=s" in answer.headers["Location"]
    code = answer.headers["Location"].split("code=")[1].split("&")[0]
    token = refresh(installed, grant_type="authorization_code", code=code).json()
    assert token["user_id"] == 4
    assert refresh(installed, grant_type="authorization_code", code=code).json()["error"] == "invalid_grant"


def test_a_renamed_portal_redirects_the_old_address(portal: Sandbox) -> None:
    old = portal.url
    portal.control("PATCH", "settings", {"rename_to": "127.0.0.1:0"})
    answer = post(f"{old}/rest/profile", json={"auth": portal.ready["access_token"]}, allow_redirects=False)
    assert answer.status_code == 302
    assert not answer.headers["Location"].startswith(old)
    assert refresh(portal).json()["client_endpoint"] == answer.headers["Location"].split("profile")[0]


# --- installation, frames, events -----------------------------------------------------------------------------------


def test_nothing_is_sent_or_shown_before_installation_is_finished(portal: Sandbox, listener: Listener) -> None:
    portal.application(handler=listener.url + "/app", install=listener.url + "/install")
    token = portal.token_of(1)
    portal.result("event.bind", {"event": "ONCRMLEADADD", "handler": listener.url + "/e"}, token=token)
    portal.result("placement.bind", {"PLACEMENT": "CRM_LEAD_DETAIL_TAB", "HANDLER": listener.url + "/p"}, token=token)
    assert portal.result("app.info", token=token)["INSTALLED"] is False
    lead_of(portal)
    portal.wait_quiet()
    assert listener.posts == []
    with pytest.raises(ControlFailed, match="установка не завершена"):
        portal.open(placement="CRM_LEAD_DETAIL_TAB", options={"ID": "1"})
    with pytest.raises(ControlFailed, match="установлено не полностью"):
        portal.open(user_id=4)
    frame = portal.open()
    assert frame["status"] == 200
    assert frame["url"].startswith(listener.url + "/install?DOMAIN=")
    portal.finish_install()
    lead_of(portal)
    assert listener.wait(lambda form: form.get("event") == "ONCRMLEADADD")
    assert (
        portal.open(placement="CRM_LEAD_DETAIL_TAB", options={"ID": "1"})["fields"]["PLACEMENT_OPTIONS"]
        == '{"ID": "1"}'
    )


def test_a_script_only_application_gets_its_tokens_by_event(portal: Sandbox, listener: Listener) -> None:
    portal.application(script_only=True, install=listener.url + "/install")
    form = listener.wait(lambda one: one.get("event") == "ONAPPINSTALL")[0]
    assert OAuthEventData.from_dict(form).event == "ONAPPINSTALL"
    assert form["auth[refresh_token]"]
    assert form["data[INSTALLED]"] == "Y"
    assert portal.result("profile", token=form["auth[access_token]"])["ID"] == "1"


def test_the_official_parser_accepts_the_frame_and_uninstall_and_update(installed: Sandbox, listener: Listener) -> None:
    frame = installed.open(send=False)
    query = dict(pair.split("=") for pair in urlsplit(frame["url"]).query.split("&"))
    data = OAuthPlacementData.from_dict({**query, **frame["fields"]})
    assert data.member_id == installed.ready["member_id"]
    assert data.placement == "DEFAULT"
    token = installed.token_of(1)
    for name in ("ONAPPUNINSTALL", "ONAPPUPDATE"):
        installed.result("event.bind", {"event": name, "handler": listener.url + "/life"}, token=token)
    installed.control("POST", f"applications/{installed.client_id}/update", {"version": 2})
    updated = listener.wait(lambda form: form["event"] == "ONAPPUPDATE")[0]
    assert OAuthEventData.from_dict(updated).auth.application_token != installed.ready["application_token"]
    installed.control("POST", f"applications/{installed.client_id}/uninstall", {"clean": 1})
    gone = listener.wait(lambda form: form["event"] == "ONAPPUNINSTALL")[0]
    assert gone["data[CLEAN]"] == "1"
    assert "auth[access_token]" not in gone
    assert OAuthEventData.from_dict(gone).is_system
    assert installed.call("profile", token=token)["error"] in ("NO_AUTH_FOUND", "APPLICATION_NOT_FOUND")


def test_events_carry_the_actor_and_are_sent_once(installed: Sandbox, listener: Listener) -> None:
    token = installed.token_of(1)
    for name in ("ONCRMLEADADD", "ONCRMLEADUPDATE", "ONTASKADD", "ONCALENDARENTRYADD", "ONCRMACTIVITYADD"):
        installed.result("event.bind", {"event": name, "handler": listener.url + "/e"}, token=token)
    again = installed.call("event.bind", {"event": "ONCRMLEADADD", "handler": listener.url + "/e"}, token=token)
    assert "Unable to set event handler" in again["error_description"]
    assert (
        installed.call("event.bind", {"event": "ONNOTHING", "handler": listener.url}, token=token)["error"]
        == "ERROR_EVENT_NOT_FOUND"
    )
    assert "error" in installed.call(
        "event.bind", {"event": "ONCRMLEADADD", "handler": "http://example.com/e"}, token=token
    )
    listener.status = 500
    number = installed.create_item(1, {"title": "руками"}, user_id=5)["id"]
    form = listener.wait(lambda one: one["event"] == "ONCRMLEADADD")[0]
    parsed = OAuthEventData.from_dict(form)
    assert not parsed.is_system
    assert form["data[FIELDS][ID]"] == str(number)
    assert installed.result("profile", token=form["auth[access_token]"])["ID"] == "5"
    assert form["auth[application_token]"] == installed.ready["application_token"]
    assert "auth[refresh_token]" not in form
    installed.result("tasks.task.add", {"fields": {"TITLE": "t", "RESPONSIBLE_ID": 4, "UF_CRM_TASK": [f"L_{number}"]}})
    listener.wait(lambda one: one["event"] == "ONTASKADD" and one["data[FIELDS_BEFORE]"] == "undefined")
    listener.wait(lambda one: one["event"] == "ONCRMACTIVITYADD")
    installed.wait_quiet()
    assert len(listener.events("ONCRMLEADADD")) == 1
    assert installed.result("event.unbind", {"event": "ONCRMLEADADD", "handler": listener.url + "/e"}, token=token) == {
        "count": 1
    }


def test_tokens_of_events_run_out_of_hops(installed: Sandbox, listener: Listener) -> None:
    token = installed.token_of(1)
    installed.result("event.bind", {"event": "ONCRMLEADUPDATE", "handler": listener.url + "/e"}, token=token)
    number = lead_of(installed)
    current = token
    rounds = 0
    for rounds in range(12):
        before = len(listener.events("ONCRMLEADUPDATE"))
        installed.result(
            "crm.item.update", {"entityTypeId": 1, "id": number, "fields": {"title": f"круг {rounds}"}}, token=current
        )
        installed.wait_quiet(still=0.1)
        events = listener.events("ONCRMLEADUPDATE")
        if len(events) == before:
            break
        current = events[-1]["auth[access_token]"]
    assert rounds == 7


@pytest.mark.parametrize(("action", "count"), [("lose", 0), ("duplicate", 2), ("delay", 1)])
def test_event_rules_change_the_delivery(installed: Sandbox, listener: Listener, action: str, count: int) -> None:
    installed.result(
        "event.bind", {"event": "ONCRMLEADADD", "handler": listener.url + "/e"}, token=installed.token_of(1)
    )
    installed.event_rule("ONCRMLEADADD", action, seconds=0.3)
    lead_of(installed)
    installed.wait_quiet()
    assert len(listener.events("ONCRMLEADADD")) == count
    lead_of(installed)
    installed.wait_quiet()
    assert len(listener.events("ONCRMLEADADD")) == count + 1


def test_offline_events_wait_in_a_queue_of_one_record_per_object(installed: Sandbox, listener: Listener) -> None:
    token = installed.token_of(1)
    installed.result(
        "event.bind", {"event": "ONCRMLEADUPDATE", "event_type": "offline", "auth_connector": "ours"}, token=token
    )
    installed.result("event.bind", {"event": "ONOFFLINEEVENT", "handler": listener.url + "/bell"}, token=token)
    first, second = lead_of(installed), lead_of(installed)
    for title in ("a", "b"):
        installed.result("crm.item.update", {"entityTypeId": 1, "id": first, "fields": {"title": title}})
    installed.result("crm.item.update", {"entityTypeId": 1, "id": second, "fields": {"title": "a"}})
    installed.result(
        "crm.item.update",
        {"entityTypeId": 1, "id": second, "fields": {"title": "b"}, "auth_connector": "ours"},
        token=token,
    )
    listener.wait(lambda form: form["event"] == "ONOFFLINEEVENT")
    reserved = installed.result("event.offline.get", {"clear": 0}, token=token)
    assert [row["EVENT_DATA"]["FIELDS"]["ID"] for row in reserved["events"]] == [first, second]
    assert installed.result("event.offline.get", {"clear": 0}, token=token)["events"] == []
    installed.result(
        "event.offline.error",
        {"process_id": reserved["process_id"], "message_id": [reserved["events"][0]["MESSAGE_ID"]]},
        token=token,
    )
    installed.result("event.offline.clear", {"process_id": reserved["process_id"]}, token=token)
    left = installed.result("event.offline.list", {}, token=token)
    assert [row["ERROR"] for row in left] == ["1"]


# --- robots ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def robots(installed: Sandbox, listener: Listener) -> Sandbox:
    """Two robots on the lead stage IN_PROCESS: the first waits, the second does not."""
    token = installed.token_of(1)
    waits = {
        "CODE": "waits", "HANDLER": listener.url + "/robot", "NAME": {"ru": "Ждёт"}, "AUTH_USER_ID": 1,
        "PROPERTIES": {"who": {"Name": "Кто", "Type": "user", "Required": "N", "Default": "user_1"},
            "text": {"Name": "Т", "Type": "string"}},
        "RETURN_PROPERTIES": {"manager": {"Name": "Менеджер", "Type": "user"}},
        "DOCUMENT_TYPE": ["crm", "CCrmDocumentLead", "LEAD"],
    }  # fmt: skip
    installed.result("bizproc.robot.add", waits, token=token)
    assert installed.call("bizproc.robot.add", waits, token=token)["error"] == "ERROR_ACTIVITY_ALREADY_INSTALLED"
    installed.result(
        "bizproc.robot.add",
        {
            "CODE": "goes",
            "HANDLER": listener.url + "/robot",
            "NAME": "Идёт",
            "USE_SUBSCRIPTION": "N",
            "PROPERTIES": {"x": {"Name": "X", "Type": "string"}},
        },
        token=token,
    )
    placed = installed.place_robot(1, "IN_PROCESS", "waits", properties={"text": "Лид {=Document:TITLE}"}, timeout=60)
    installed.place_robot(1, "IN_PROCESS", "goes", properties={"x": f"{{=A{placed['id']}:manager}}"})
    return installed


def _enter(portal: Sandbox, number: int) -> None:
    portal.result("crm.item.update", {"entityTypeId": 1, "id": number, "fields": {"stageId": "IN_PROCESS"}})


def test_a_waiting_robot_holds_the_row_until_its_answer(robots: Sandbox, listener: Listener) -> None:
    token = robots.token_of(4)
    number = lead_of(robots, title="Кухня")
    _enter(robots, number)
    form = listener.wait(lambda one: one.get("code") == "waits")[0]
    parsed = OAuthWorkflowData.from_dict(form)
    assert parsed.use_subscription
    assert list(parsed.document_id) == ["crm", "CCrmDocumentLead", f"LEAD_{number}"]
    assert form["properties[text]"] == "Лид Кухня"
    assert form["properties[who]"] == "user_1"
    assert robots.state("workflows")[0]["status"] == "waiting"
    robots.result("bizproc.activity.log", {"EVENT_TOKEN": form["event_token"], "LOG_MESSAGE": "думаю"}, token=token)
    answer = {
        "EVENT_TOKEN": form["event_token"],
        "RETURN_VALUES": {"MANAGER": "user_5", "foreign": 1},
        "LOG_MESSAGE": "готово",
    }
    assert robots.result("bizproc.event.send", answer, token=token) is True
    second = listener.wait(lambda one: one.get("code") == "goes")[0]
    assert second["properties[x]"] == "user_5"
    assert second["use_subscription"] == "N"
    assert [line["text"] for line in robots.state("workflows")[0]["log"]] == ["думаю", "готово"]
    stale = post(f"{robots.url}/rest/bizproc.event.send", json={**answer, "auth": token})
    assert (stale.status_code, stale.json()["error"]) == (403, "ACCESS_DENIED")


def test_a_robot_that_is_never_answered_times_out(robots: Sandbox, listener: Listener) -> None:
    _enter(robots, lead_of(robots))
    listener.wait(lambda one: one.get("code") == "waits")
    robots.control("POST", "time", {"shift_seconds": 61})
    listener.wait(lambda one: one.get("code") == "goes")
    assert "истекло" in robots.state("workflows")[0]["log"][0]["text"]


def test_robots_stop_when_the_item_leaves_and_run_again_at_each_entry(robots: Sandbox, listener: Listener) -> None:
    number = lead_of(robots)
    _enter(robots, number)
    form = listener.wait(lambda one: one.get("code") == "waits")[0]
    robots.change_item(1, number, {"stageId": "PROCESSED"}, user_id=4)
    assert robots.state("workflows")[0]["status"] == "stopped"
    assert (
        robots.call("bizproc.event.send", {"EVENT_TOKEN": form["event_token"]}, token=robots.token_of(1))["error"]
        == "ACCESS_DENIED"
    )
    _enter(robots, number)
    listener.wait(lambda one: one.get("code") == "waits", count=2)
    assert len(listener.posts) == 2


# --- calls ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def calls(installed: Sandbox, listener: Listener) -> Sandbox:
    token = installed.token_of(1)
    for name in ("ONVOXIMPLANTCALLINIT", "ONVOXIMPLANTCALLSTART", "ONVOXIMPLANTCALLEND", "ONCRMLEADADD"):
        installed.result("event.bind", {"event": name, "handler": listener.url + "/call"}, token=token)
    return installed


def test_a_missed_call_of_a_stranger_makes_lead_statistics_activity_and_events(
    calls: Sandbox, listener: Listener
) -> None:
    made = calls.missed_call("8 (912) 345-67-89")
    end = listener.wait(lambda form: form["event"] == "ONVOXIMPLANTCALLEND")[0]
    assert OAuthEventData.from_dict(end).is_system
    assert end["data[CALL_FAILED_CODE]"] == "304"
    assert end["data[CALL_TYPE]"] == "2"
    row = calls.result("voximplant.statistic.get", {"FILTER": {"CALL_ID": made["call_id"]}})[0]
    assert (row["CRM_ENTITY_TYPE"], row["CRM_ENTITY_ID"]) == ("LEAD", str(made["lead_id"]))
    activity = calls.result("crm.activity.get", {"id": row["CRM_ACTIVITY_ID"]})
    assert (activity["OWNER_TYPE_ID"], activity["OWNER_ID"], activity["PROVIDER_ID"]) == (
        "1",
        str(made["lead_id"]),
        "VOXIMPLANT_CALL",
    )
    lead = calls.result("crm.item.get", {"entityTypeId": 1, "id": made["lead_id"]})["item"]
    assert lead["sourceId"] == "CALL"
    assert lead["phone"] == "+79123456789"
    kinds = [
        (entry["change"], entry["type"])
        for entry in calls.ledger(kind="effect")
        if entry["type"] in ("lead", "activity")
    ]
    assert kinds == [("create", "lead"), ("create", "activity")]


def test_a_known_client_gets_no_new_lead(calls: Sandbox, listener: Listener) -> None:
    number = calls.create_item(
        3, {"NAME": "Пётр", "PHONE": [{"VALUE": "+79111111111", "VALUE_TYPE": "WORK"}], "ASSIGNED_BY_ID": 6}
    )["id"]
    made = calls.missed_call("+79111111111")
    assert made["lead_id"] is None
    assert made["entity"] == [3, number]
    row = calls.result("voximplant.statistic.get", {"FILTER": {"CALL_ID": made["call_id"]}})[0]
    assert (row["CRM_ENTITY_TYPE"], row["PORTAL_USER_ID"]) == ("CONTACT", "6")
    calls.wait_quiet()
    assert listener.events("ONCRMLEADADD") == []


def test_an_answered_call_names_the_employee_while_he_talks(calls: Sandbox, listener: Listener) -> None:
    calls.control("PATCH", "line", {"create_lead": "all", "create_when": "start"})
    call_id = calls.ring("+79122222222")
    assert calls.control("GET", "quiet")["quiet"] is False
    calls.answer(call_id, 5)
    start = listener.wait(lambda form: form["event"] == "ONVOXIMPLANTCALLSTART")[0]
    assert (start["data[CALL_ID]"], start["data[USER_ID]"]) == (call_id, "5")
    assert calls.person(5)["call"] == call_id
    assert listener.wait(lambda form: form["event"] == "ONCRMLEADADD")
    calls.finish(call_id)
    end = listener.wait(lambda form: form["event"] == "ONVOXIMPLANTCALLEND")[0]
    assert (end["data[CALL_FAILED_CODE]"], end["data[PORTAL_USER_ID]"]) == ("200", "5")
    assert calls.person(5)["call"] is None
    with pytest.raises(ControlFailed):
        calls.finish(call_id)


def test_an_external_call_is_registered_once_and_makes_its_finisher_responsible(calls: Sandbox) -> None:
    token = calls.token_of(1)
    params = {"USER_ID": 4, "PHONE_NUMBER": "+79133333333", "TYPE": 2, "CRM_CREATE": 1}
    first = calls.result("telephony.externalCall.register", params, token=token)
    assert calls.result("telephony.externalcall.register", params, token=token)["CALL_ID"] == first["CALL_ID"]
    done = calls.result(
        "telephony.externalCall.finish", {"CALL_ID": first["CALL_ID"], "USER_ID": 6, "DURATION": 0}, token=token
    )
    assert done["CALL_FAILED_CODE"] == "304"
    assert done["CRM_ENTITY_ID"] == first["CRM_CREATED_LEAD"]
    lead = calls.result("crm.item.get", {"entityTypeId": 1, "id": first["CRM_CREATED_LEAD"]})["item"]
    assert lead["assignedById"] == 6


# --- people, tasks, notices -----------------------------------------------------------------------------------------


def test_the_working_day_opens_pauses_and_expires(portal: Sandbox) -> None:
    def status() -> str:
        return str(portal.result("timeman.status", {"USER_ID": 4})["STATUS"])

    assert status() == "CLOSED"
    for action, expected in (("open", "OPENED"), ("pause", "PAUSED"), ("open", "OPENED")):
        portal.set_person(4, clock=action)
        assert status() == expected
    portal.control("POST", "time", {"shift_seconds": 86400})
    assert status() == "EXPIRED"
    assert portal.call("timeman.status", {"USER_ID": 5}, token=portal.token_of(4))["error"] == "ACCESS_DENIED"
    assert portal.result("timeman.status", {"USER_ID": 4}, token=portal.token_of(3))["STATUS"] == "EXPIRED"


def test_busy_and_absent_show_in_their_two_shapes(portal: Sandbox) -> None:
    portal.set_person(4, busy={"from": "2026-12-01T10:00:00+03:00", "to": "2026-12-01T11:00:00+03:00"})
    portal.set_person(5, absent={"from": "2026-12-01T00:00:00+03:00", "to": "2026-12-05T00:00:00+03:00"})
    ask = {"users": [4, 5, 6], "from": "2026-12-01", "to": "2026-12-01"}
    found = portal.result("calendar.accessibility.get", ask)
    assert (found["4"][0]["DATE_FROM"], found["4"][0]["DATE_FROM_TS_UTC"]) == ("01.12.2026 10:00:00", "1796108400")
    assert found["5"][0]["FROM_HR"] is True
    assert found["5"][0]["ACCESSIBILITY"] == "absent"
    assert "TZ_FROM" not in found["5"][0]
    assert found["6"] == []
    assert portal.result("calendar.accessibility.get", {**ask, "from": "2026-12-02", "to": "2026-12-02"})["4"] == []


def test_a_controlled_task_waits_for_approval(portal: Sandbox) -> None:
    fields = {"TITLE": "Позвонить", "RESPONSIBLE_ID": 4, "CREATED_BY": 3, "TASK_CONTROL": "Y", "UF_CRM_TASK": ["L_1"]}
    number = portal.result("tasks.task.add", {"fields": fields})["task"]["id"]
    worker, boss, other = (portal.token_of(user) for user in (4, 3, 8))
    assert portal.call("tasks.task.get", {"taskId": number}, token=other)["error"] == "1048582"
    assert portal.result("tasks.task.complete", {"taskId": number}, token=worker)["task"]["status"] == "4"
    assert portal.call("tasks.task.approve", {"taskId": number}, token=worker)["error"] == "1048582"
    assert portal.result("tasks.task.approve", {"taskId": number}, token=boss)["task"]["status"] == "5"
    assert "ufCrmTask" not in portal.result("tasks.task.get", {"taskId": number})["task"]
    assert portal.result("tasks.task.get", {"taskId": number, "select": ["UF_CRM_TASK"]})["task"]["ufCrmTask"] == [
        "L_1"
    ]
    bound = portal.result("tasks.task.list", {"filter": {"UF_CRM_TASK": "L_1", "REAL_STATUS": 5}})["tasks"]
    assert [task["id"] for task in bound] == [number]
    wrong = portal.call("tasks.task.add", {"fields": {"TITLE": "", "RESPONSIBLE_ID": 4}})
    assert wrong["error"] == "ERROR_CORE"
    assert wrong["error_description"].endswith("<br>")


def test_a_tag_replaces_the_older_notice(portal: Sandbox) -> None:
    for text in ("раз", "два"):
        portal.result("im.notify.personal.add", {"USER_ID": 4, "MESSAGE": text, "TAG": "t"})
    portal.result("im.notify.system.add", {"USER_ID": 4, "MESSAGE": "три"})
    assert [notice["text"] for notice in portal.state("notices")] == ["два", "три"]


# --- REST 3.0 -------------------------------------------------------------------------------------------------------


def v3(portal: Sandbox, method: str, body: Any, key: str | None = None, **more: Any) -> requests.Response:
    headers = {"Idempotency-Key": key} if key is not None else {}
    hook = portal.ready["webhook"].replace("/rest/", "/rest/api/")
    return requests.post(hook + method, json=body, headers=headers, timeout=20, **more)


NEW_TASK = {"fields": {"title": "Ответить", "creatorId": 1, "responsibleId": 4, "crmItemIds": ["L_1"]}}


def test_an_idempotency_key_replays_the_stored_answer(portal: Sandbox) -> None:
    first = v3(portal, "tasks.task.add", NEW_TASK, "k-1")
    again = v3(portal, "tasks.task.add", NEW_TASK, "k-1")
    assert first.json()["result"] == again.json()["result"]
    assert len(portal.state("tasks")) == 1
    assert first.headers["Idempotency-Key"] == "k-1"
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Idempotency-Key"] == "k-1"
    other = v3(portal, "tasks.task.add", {"fields": {**NEW_TASK["fields"], "title": "x"}}, "k-1")
    assert other.status_code == 422
    assert other.json()["error"]["code"].endswith("IDEMPOTENCYKEYREUSEDEXCEPTION")
    for bad in ("", "x" * 256):
        refused = v3(portal, "tasks.task.add", NEW_TASK, bad)
        assert refused.status_code == 400
        assert refused.json()["error"]["code"].endswith("INVALIDIDEMPOTENCYKEYEXCEPTION")
    portal.control("POST", "time", {"shift_seconds": 86401})
    assert "Idempotent-Replayed" not in v3(portal, "tasks.task.add", NEW_TASK, "k-1").headers


def test_errors_are_not_stored_under_a_key(portal: Sandbox) -> None:
    wrong = {"fields": {**NEW_TASK["fields"], "responsibleId": 999}}
    refused = v3(portal, "tasks.task.add", wrong, "k")
    assert refused.status_code == 400
    assert refused.json()["error"]["validation"][0]["field"] == "responsibleId"
    assert v3(portal, "tasks.task.add", NEW_TASK, "k").status_code == 200


@pytest.mark.parametrize(
    ("method", "body", "status", "code"),
    [
        ("tasks.task.add", {"fields": {"title": "x"}}, 400, "VALIDATION_REQUESTVALIDATIONEXCEPTION"),
        (
            "tasks.task.add",
            {"fields": {**NEW_TASK["fields"], "deadline": "завтра"}},
            400,
            "VALIDATION_REQUESTVALIDATIONEXCEPTION",
        ),
        ("tasks.task.get", {"id": "7"}, 400, "VALIDATION_REQUESTVALIDATIONEXCEPTION"),
        ("tasks.task.get", {"id": 999}, 400, "ENTITYNOTFOUNDEXCEPTION"),
        ("tasks.task.list", {"filter": [["nothing", "=", 1]]}, 400, "UNKNOWNDTOPROPERTYEXCEPTION"),
        ("tasks.task.list", {"filter": [["title", "=", "x"]]}, 400, "VALIDATION_REQUESTVALIDATIONEXCEPTION"),
        ("tasks.task.list", {"filter": [["id", "like", 1]]}, 400, "UNKNOWNFILTEROPERATOREXCEPTION"),
        ("tasks.task.list", {"pagination": {"limit": "abc"}}, 400, "INVALIDPAGINATIONEXCEPTION"),
        ("batch", {"cmd": {"a": "tasks.task.get?id=1"}}, 400, "INVALIDSELECTEXCEPTION"),
        ("batch", {"cmd": ["tasks.task.get?id=1"]}, 400, "INVALIDSELECTEXCEPTION"),
    ],
)
def test_rest_3_refuses_in_its_own_shape(filtered: Sandbox, method: str, body: Any, status: int, code: str) -> None:
    answer = v3(filtered, method, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, "BITRIX_REST_V3_EXCEPTION_" + code)


def test_rest_3_reads_json_only_and_selects_related_fields(portal: Sandbox) -> None:
    hook = portal.ready["webhook"].replace("/rest/", "/rest/api/")
    form = requests.post(hook + "tasks.task.add", data={"title": "x"}, timeout=9)
    assert form.json()["error"]["code"].endswith("INVALIDJSONEXCEPTION")
    number = v3(portal, "tasks.task.add", NEW_TASK).json()["result"]["item"]["id"]
    item = v3(portal, "tasks.task.get", {"id": number, "select": ["id", "nothing", "responsible.name"]}).json()[
        "result"
    ]["item"]
    assert item == {"id": number, "responsible": {"name": "Анна Кузнецова"}}
    assert v3(portal, "tasks.task.update", {"id": number, "fields": {"status": "completed"}}).json()["result"] == {
        "result": True
    }
    either = [{"logic": "or", "conditions": [["id", [number]], ["id", ">", 100]]}]
    assert v3(portal, "tasks.task.list", {"filter": either}).json()["result"] == {"items": [{"id": number}]}
    assert requests.post(portal.ready["webhook"] + "rest.scope.list", timeout=9).status_code == 404


# --- limits and faults ----------------------------------------------------------------------------------------------


def test_the_leaky_bucket_refuses_the_fifty_first_request(limited: Sandbox) -> None:
    limited.control("POST", "time", {"speed": 0.001})  # nothing leaks while a busy machine lets us wait
    statuses = [post(limited.ready["webhook"] + "profile").status_code for _ in range(60)]
    assert statuses == [200] * 50 + [503] * 10
    assert post(limited.ready["webhook"] + "profile").json()["error"] == "QUERY_LIMIT_EXCEEDED"
    limited.control("POST", "time", {"shift_seconds": 30})
    assert post(limited.ready["webhook"] + "batch", json={"cmd": ["profile"] * 50}).status_code == 200


def test_neighbours_on_the_address_slow_the_leak(limited: Sandbox) -> None:
    limited.control("POST", "limits", {"neighbours": 2})
    for _ in range(50):
        post(limited.ready["webhook"] + "profile")
    limited.control("POST", "time", {"shift_seconds": 30})
    assert post(limited.ready["webhook"] + "profile").status_code == 503


def test_operating_time_blocks_one_method_for_one_owner(limited: Sandbox) -> None:
    limited.control("POST", "limits", {"operating_limit": 5})
    results = limited.result("batch", {"cmd": ["crm.item.update?entityTypeId=1&id=1&fields[title]=t"] * 50})
    assert results["result_error"]["49"]["error"] == "OPERATION_TIME_LIMIT"
    times = (
        list(results["result_time"].values()) if isinstance(results["result_time"], dict) else results["result_time"]
    )
    assert 5 <= times[-1]["operating"] < 6
    assert 540 <= times[-1]["operating_reset_at"] - times[-1]["start"] <= 600
    refused = post(limited.ready["webhook"] + "crm.item.update", json={"entityTypeId": 1, "id": 1, "fields": {}})
    assert (refused.status_code, refused.json()["error"]) == (429, "OPERATION_TIME_LIMIT")
    assert "operating_reset_at" not in refused.json()
    assert limited.result("crm.item.get", {"entityTypeId": 1, "id": 1})["item"]["id"] == 1
    assert "error" not in limited.call(
        "crm.item.update", {"entityTypeId": 1, "id": 1, "fields": {}}, token=limited.token_of(1)
    )
    limited.control("POST", "time", {"shift_seconds": 661})
    assert "error" not in limited.call("crm.item.update", {"entityTypeId": 1, "id": 1, "fields": {"title": "z"}})


@pytest.mark.parametrize("effect", ["drop", "html", "truncate", "status", "error", "delay"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("batched", [False, True])
def test_a_fault_happens_before_or_after_the_effect(filtered: Sandbox, effect: str, when: str, batched: bool) -> None:
    before = filtered.result("crm.item.get", {"entityTypeId": 1, "id": 1})["item"]["title"]
    filtered.fault("crm.item.update", effect, when=when, status=502, error="INTERNAL_SERVER_ERROR", seconds=0.2)
    title = f"{effect} {when} {batched}"
    body: dict[str, Any] = {"entityTypeId": 1, "id": 1, "fields": {"title": title}}
    name = "crm.item.update"
    if batched:
        name, body = "batch", {"cmd": {"a": f"crm.item.update?entityTypeId=1&id=1&fields[title]={title}"}}
    started = time.monotonic()
    try:
        answer = post(filtered.ready["webhook"] + name, json=body)
        good = (
            answer.status_code == 200
            and "error" not in answer.json()
            and not (batched and answer.json()["result"]["result_error"])
        )
        shape = answer.headers["Content-Type"].split(";")[0]
    except requests.RequestException:
        good, shape = False, "broken"
    assert good == (effect == "delay")
    if effect == "delay":
        assert time.monotonic() - started >= 0.2
    if effect in ("html", "status"):
        assert shape == "text/html"
    if effect in ("drop", "truncate"):
        assert shape == "broken"
    done = when == "after" or effect == "delay"
    assert filtered.result("crm.item.get", {"entityTypeId": 1, "id": 1})["item"]["title"] == (title if done else before)


def titles(portal: Sandbox, *numbers: int) -> list[str]:
    return [portal.result("crm.item.get", {"entityTypeId": 1, "id": number})["item"]["title"] for number in numbers]


def test_a_fault_lets_so_many_calls_pass_one_by_one_in_a_batch_too(filtered: Sandbox) -> None:
    update = "crm.item.update?entityTypeId=1&id={}&fields[title]=skip {}"
    filtered.result("batch", {"cmd": {"a": update.format(1, "before"), "b": update.format(2, "before")}})
    filtered.fault("crm.item.update", "error", skip=2, status=500)
    filtered.result("crm.item.update", {"entityTypeId": 1, "id": 1, "fields": {"title": "skip 1"}})
    cmd = {"b": update.format(1, 2), "c": update.format(2, 3), "d": update.format(2, 4)}
    answer = filtered.result("batch", {"halt": 1, "cmd": cmd})
    assert (list(answer["result"]), list(answer["result_error"])) == (["b"], ["c"])
    assert titles(filtered, 1, 2) == ["skip 2", "skip before"]
    filtered.fault("crm.item.update", "drop", when="after", skip=1)
    with pytest.raises(requests.ConnectionError):
        post(filtered.ready["webhook"] + "batch", json={"halt": 1, "cmd": cmd})
    assert titles(filtered, 2) == ["skip 4"]


@pytest.mark.parametrize(("when", "done"), [("before", False), ("after", True)])
def test_a_cut_request_waits_until_the_rules_are_deleted(filtered: Sandbox, when: str, done: bool) -> None:
    last = filtered.last
    filtered.fault("crm.item.update", "cut", when=when, seconds=60)
    body = {"entityTypeId": 1, "id": 1, "fields": {"title": f"cut {when}"}}
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(post, filtered.ready["webhook"] + "crm.item.update", json=body)
        while not filtered.ledger(last, "fault"):
            assert not asked.done()
        assert (titles(filtered, 1) == [f"cut {when}"]) == done
        filtered.control("DELETE", "faults")
        with pytest.raises(requests.ConnectionError):
            asked.result(10)
    assert (titles(filtered, 1) == [f"cut {when}"]) == done


def test_an_answer_may_be_empty(portal: Sandbox) -> None:
    portal.fault("profile", "empty")
    answer = post(portal.ready["webhook"] + "profile")
    assert (answer.status_code, answer.content) == (200, b"")


def test_faults_of_the_authorization_server(portal: Sandbox) -> None:
    portal.fault("oauth", "error", error="invalid_grant", status=400)
    assert refresh(portal).json()["error"] == "invalid_grant"
    portal.fault("oauth", "drop", when="after")
    with pytest.raises(requests.ConnectionError):
        refresh(portal)
    assert refresh(portal).json()["error"] == "invalid_grant"


def test_a_portal_is_kept_in_a_file(tmp_path: Any) -> None:
    file = str(tmp_path / "my.portal")
    with Sandbox.start("--no-limits", "--state", file) as portal:
        made = portal.missed_call("+79140000000")
        portal.application(handler="http://127.0.0.1:9/app")
        ready = portal.ready
    with Sandbox.start("--no-limits", "--state", file) as portal:
        assert (portal.ready["client_id"], portal.ready["member_id"]) == (ready["client_id"], ready["member_id"])
        assert (
            portal.result("crm.item.get", {"entityTypeId": 1, "id": made["lead_id"]})["item"]["phone"] == "+79140000000"
        )
        assert portal.result("profile", token=ready["access_token"])["ID"] == "1"
        assert portal.result("crm.duplicate.findbycomm", {"type": "PHONE", "values": ["+79140000000"]}) == {
            "LEAD": [made["lead_id"]]
        }


def test_speed_runs_all_clocks_faster() -> None:
    with Sandbox.start("--speed", "200") as portal:
        first = portal.call("server.time")["time"]["start"]
        time.sleep(0.2)
        assert portal.call("server.time")["time"]["start"] - first >= 40


def test_controls_refuse_unknown_keys(portal: Sandbox) -> None:
    for verb, path, body in (
        ("POST", "calls", {"telephone": "1"}), ("PATCH", "people/4", {"colour": 1}),
        ("PATCH", "people/99", {"clock": "open"}),
        ("POST", "faults", {"effect": "fire"}), ("GET", "state/nothing", None), ("POST", "nothing", {}),
        ("POST", "stages/1/NOWHERE/robots", {"code": "x"}), ("POST", "items/1", {"fields": {"stageId": "NOWHERE"}}),
    ):  # fmt: skip
        with pytest.raises(ControlFailed, match=r"40[045]"):
            portal.control(verb, path, body)
