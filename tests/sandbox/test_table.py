"""The portal's records: a part of a table, and a part of that, are what a look at every record would give."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sandbox.portal import Table

ROWS = st.tuples(st.sampled_from("ab"), st.integers(0, 2))


@given(before=st.lists(ROWS, max_size=8), changes=st.lists(st.one_of(ROWS, st.integers(1, 12)), max_size=12))
def test_parts_follow_what_comes_and_goes(before: list[tuple[str, int]], changes: list[tuple[str, int] | int]) -> None:
    table = Table()
    for kind, owner in before:
        table.add({"KIND": kind, "OWNER": owner})
    assert len(table.part("KIND", "a").part("OWNER", 1)) == before.count(("a", 1))  # kept from here on
    for change in changes:
        if isinstance(change, int):
            table.remove(change)
        else:
            table.add({"KIND": change[0], "OWNER": change[1]})
    for kind in "abc":
        part = table.part("KIND", kind)
        assert list(part) == list(table.where(KIND=kind))
        for owner in range(4):
            assert list(part.part("OWNER", owner)) == list(table.where(KIND=kind, OWNER=owner))
            assert part.part("OWNER", owner).ids_between(2, 5) == [
                row["ID"] for row in table.where(KIND=kind, OWNER=owner) if 2 <= row["ID"] <= 5
            ]
