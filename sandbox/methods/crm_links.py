"""Contacts of leads, deals, companies and quotes, companies of contacts, in both shapes: one by one and as a list.

api-reference/crm: leads/management-communication, deals/contacts, companies/contacts, contacts/company, quote/contacts
"""

from __future__ import annotations

from sandbox import crm
from sandbox.crm_kinds import COMPANY, CONTACT, DEAL, LEAD, QUOTE, RUSSIAN, WORD
from sandbox.method import Call, RestError, Row, as_int, as_map, method, yes


def _serve(kind: int, other: int, key: str) -> None:
    """Register the family of one side: `key` is the list in the record, `other` the type of its members."""
    own, member = WORD[kind].lower(), WORD[other].lower()
    prefix = f"crm.{own}.{member}"
    name = f"{WORD[other]}_ID"

    def owner(call: Call, text: str, *, change: bool) -> Row:
        number = as_int(call.get("id"))
        if number is None or number <= 0:
            raise RestError("", text, 400)
        row = call.portal[kind].get(number)
        if row is None:
            raise RestError("NOT_FOUND" if kind == LEAD else "", "Not found.", 400)
        if not (crm.can_change if change else crm.can_read)(call.user, kind, row):
            raise RestError("ACCESS_DENIED")
        return row

    single = "The parameter 'ownerEntityID' is invalid or not defined."
    several = "The parameter ownerEntityID is invalid or not defined."

    def store(call: Call, row: Row, numbers: list[int]) -> None:
        row["LINK_SORT"] = {key: sort for key, sort in (row.get("LINK_SORT") or {}).items() if int(key) in numbers}
        crm.update(call.portal, kind, row, {key: numbers}, None, call.actor, links=True)

    def member_of(call: Call, given: Row) -> int:
        fields = {each.upper(): value for each, value in given.items()}
        number = as_int(fields.get(name))
        if number is None or number <= 0 or call.portal[other].get(number) is None:
            raise RestError("", "The parameter 'fields' is not valid.", 400)
        return number

    def sort_of(row: Row, number: int, place: int) -> int:
        return int((row.get("LINK_SORT") or {}).get(str(number), (place + 1) * 10))

    @method(f"{prefix}.fields", scope="crm")
    def fields(call: Call) -> Row:
        facts = {
            "SORT": ("integer", False, "Сортировка"), "IS_PRIMARY": ("char", False, "Первичный"),
            name: ("integer", True, RUSSIAN[other]),
        }  # fmt: skip
        return {
            each: {
                "type": type_, "isRequired": required, "isReadOnly": False, "isImmutable": False, "isMultiple": False,
                "isDynamic": False, "title": title,
            }
            for each, (type_, required, title) in facts.items()
        }  # fmt: skip

    @method(f"{prefix}.add", scope="crm", params="id fields", writes=True)
    def add(call: Call) -> bool:
        row = owner(call, single, change=True)
        given = call.get("fields")
        if not isinstance(given, dict):
            raise RestError("", "The parameter 'fields' must be array.", 400)
        number = member_of(call, given)
        facts = {each.upper(): value for each, value in given.items()}
        numbers = [each for each in row[key] if each != number]
        numbers = [number, *numbers] if yes(facts.get("IS_PRIMARY")) else [*numbers, number]
        sort = as_int(facts.get("SORT"))
        row["LINK_SORT"] = {**(row.get("LINK_SORT") or {}), **({str(number): sort} if sort is not None else {})}
        store(call, row, numbers)
        return True

    @method(f"{prefix}.delete", scope="crm", params="id fields", writes=True)
    def delete(call: Call) -> bool:
        row = owner(call, single, change=True)
        given = call.get("fields")
        if not isinstance(given, dict):
            raise RestError("", "The parameter 'item' must be array.", 400)
        number = member_of(call, given)
        if number not in row[key]:
            raise RestError("", "The parameter 'fields' is not valid.", 400)
        store(call, row, [each for each in row[key] if each != number])
        return True

    @method(f"{prefix}.items.get", scope="crm", params="id")
    def items_get(call: Call) -> list[Row]:
        row = owner(call, several, change=False)
        return [
            {
                name: number, "SORT": sort_of(row, number, place), "ROLE_ID": 0,
                "IS_PRIMARY": "Y" if place == 0 else "N",
            }
            for place, number in enumerate(row[key])
        ]  # fmt: skip

    @method(f"{prefix}.items.set", scope="crm", params="id items", writes=True)
    def items_set(call: Call) -> bool:
        row = owner(call, several, change=True)
        given = call.get("items")
        if not isinstance(given, (dict, list)):
            raise RestError("", "The parameter items must be array.", 400)
        found: list[tuple[bool, int, int]] = []
        for place, one in enumerate(as_map(given).values()):
            facts = {each.upper(): value for each, value in as_map(one).items()}
            number = as_int(facts.get(name))
            if number is None or number <= 0:
                continue
            if call.portal[other].get(number) is None:
                raise RestError("", f"[{WORD[other].title()} #{number}] Not found", 400)
            sort = as_int(facts.get("SORT"))
            found.append((not yes(facts.get("IS_PRIMARY")), sort if sort is not None else (place + 1) * 10, number))
        found.sort()
        row["LINK_SORT"] = {str(number): sort for _, sort, number in found}
        store(call, row, list(dict.fromkeys(number for _, _, number in found)))
        return True

    @method(f"{prefix}.items.delete", scope="crm", params="id", writes=True)
    def items_delete(call: Call) -> bool:
        store(call, owner(call, several, change=True), [])
        return True


for _kind in (LEAD, DEAL, QUOTE):
    _serve(_kind, CONTACT, "CONTACT_IDS")
_serve(COMPANY, CONTACT, "CONTACT_ID")
_serve(CONTACT, COMPANY, "COMPANY_IDS")
