"""What comes to our doors from anybody: valid requests with something wrong in them, and bytes that mean nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote_from_bytes

from hypothesis import strategies as st

Pairs = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True)
class Sent:
    """One request as it goes over the wire."""

    path: bytes
    body: bytes = b""
    query: bytes = b""
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    length: str | None = None

    def holds(self, secret: str) -> bool:
        """Tells whether the secret stands anywhere in it, written however."""
        told = b" ".join(
            (self.path, self.body, self.query, " ".join(self.headers.values()).encode("latin-1", "replace"))
        )
        return secret.encode() in told or quote_from_bytes(secret.encode(), safe="").encode() in told


NASTY: tuple[bytes, ...] = (
    b"", b"0", b"-1", b"1", b"42", b"9" * 15, b"9" * 16, b"9" * 400, str(2**63).encode(), str(2**64).encode(), b"1e999",
    b"NaN", b"0x10", b"1.5", b"true", b"null", b"[]", b"{}", b'{"ID":"42"}', b'{"ID":{"a":1}}', b"[" * 3000,
    b'{"a":' * 900, b'{"form":"missing","entity":"lead:42"}', b'{"form":"missing","entity":"lead:1","to":[],"at":1}',
    b'{"view":"board","day":"2026-13-40","viewRangeFrom":"0001-01-01"}', b'{"view":"board","viewRangeFrom":5}',
    "٤٢".encode(), "Ы".encode(), "\u202eявный".encode(), b"\xff\xfe", b"\xed\xa0\x80", b"a\x00b", b"\r\nSet-Cookie: a",
    b"\x1b[2J\x1b]0;x\x07", b"' OR 1=1 --", b"'; DROP TABLE deliveries; --", b"<script>alert(1)</script>", b"{{ 7*7 }}",
    b"{% for x in y %}", b"%(x)s %n %s", b"${jndi:ldap://x}", b"../../etc/passwd", b"http://169.254.169.254/",
    b"A" * 5000, b"127.0.0.1", b"[::1]", b"user@host", b"lead:42", b"lead:0042", b"deal:-1", b"LEAD_1", b"DYNAMIC_1_2",
)  # fmt: skip
SUFFIXES: tuple[bytes, ...] = (
    b"[]",
    b"[0]",
    b"[a]",
    b"[a][b][c]",
    b"[x]" * 9,
    b"[",
    b"]",
    b"[]]",
    b"[[a]]",
    b"[0",
    b"\x00",
    b"\xff",
)
JSON_NASTY: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**62, 2**63, 2**64, 10**400, 1.5, -0.0, "", "0", "42", "lead:42", "lead:1",
    "lead:99999999999999999999", "\u0000", "\\u0000", "\ud800", "\u202e", "x" * 5000, "2026-11-30", "2026-11-30T10:00",
    "2026-11-30T10:00:00+03:00", "0001-01-01T00:00:00+23:59", "9999-12-31", "<b>", "' OR 1=1", "{{7*7}}", "\x1b[31m",
    "\r\n", [], {}, [[]], [1, "a", None], {"a": {"b": []}}, ["x"] * 300, {str(n): n for n in range(300)},
)  # fmt: skip
METHODS = ("GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH", "TRACE", "X")
TYPES = (
    "", "application/json", "application/json; charset=utf-16", "application/x-www-form-urlencoded",
    "multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=x", "text/plain",
    "application/x-www-form-urlencoded; charset=x-unknown", "application/json; charset=\x7f", "a" * 500,
)  # fmt: skip

nasty = (
    st.sampled_from(NASTY)
    | st.binary(max_size=12)
    | st.text(max_size=8).map(lambda one: one.encode("utf-8", "surrogatepass"))
)


@st.composite
def worse_form(draw: st.DrawFn, pairs: Pairs) -> Pairs:
    """The fields of a form with a few of them dropped, doubled, renamed, given another value, or many more."""
    made = list(pairs)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, max(len(made) - 1, 0)))
        name, value = made[at] if made else (b"a", b"1")
        match draw(st.sampled_from(("value", "value", "value", "drop", "double", "rename", "suffix", "many", "add"))):
            case "value":
                made[at : at + 1] = [(name, draw(nasty))]
            case "drop":
                del made[at : at + 1]
            case "double":
                made.append((name, draw(nasty)))
            case "rename":
                made[at : at + 1] = [(draw(nasty), value)]
            case "suffix":
                made[at : at + 1] = [(name + draw(st.sampled_from(SUFFIXES)), value)]
            case "many":
                made += [(name + b"[]", b"1")] * draw(st.sampled_from((3, 50, 2001)))
            case _:
                made.append((draw(nasty), draw(nasty)))
    return tuple(made)


@st.composite
def worse_json(draw: st.DrawFn, wish: Any) -> bytes:
    """The JSON of a page with other values, other keys, or something else altogether."""
    made: Any = dict(wish)
    for _ in range(draw(st.integers(0, 3))):
        key = draw(st.sampled_from(sorted(made)) if made else st.just("a"))
        match draw(st.sampled_from(("value", "value", "value", "drop", "add", "inside"))):
            case "value":
                made[key] = draw(st.sampled_from(JSON_NASTY))
            case "drop":
                made.pop(key, None)
            case "add":
                made[draw(st.text(max_size=6))] = draw(st.sampled_from(JSON_NASTY))
            case _:
                made[key] = {draw(st.sampled_from(("a", key))): draw(st.sampled_from(JSON_NASTY))}
    if draw(st.integers(0, 19)) == 0:
        made = draw(st.sampled_from(JSON_NASTY))
    text = json.dumps(made, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    return (
        draw(st.sampled_from((text, b"[" * 100_000, b'{"a":' * 50_000, b"NaN", b'{"a":1,"a":2}')))
        if draw(st.integers(0, 19)) == 0
        else text
    )


@st.composite
def worse_bytes(draw: st.DrawFn, body: bytes) -> bytes:
    """The body with bytes cut out, put in, or turned over; as it is most of the time."""
    if draw(st.integers(0, 4)):
        return body
    at = draw(st.integers(0, len(body)))
    until = draw(st.integers(at, min(len(body), at + 40)))
    return body[:at] + draw(st.binary(max_size=20)) + body[until:]


def encoded(pairs: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Writes a form as browsers and PHP do."""
    return b"&".join(b"=".join(quote_from_bytes(one, safe="[]").encode() for one in pair) for pair in pairs)


@st.composite
def wrong_here_and_there(draw: st.DrawFn, valid: Callable[[], Sequence[tuple[Sent, Pairs | None, Any]]]) -> Sent:
    """One of the valid requests (its form, or its JSON, to be changed), with something wrong in it."""
    sent, pairs, wish = draw(st.sampled_from(list(valid())))
    body = encoded(draw(worse_form(pairs))) if pairs is not None else draw(worse_json(wish))
    body = draw(worse_bytes(body))
    if draw(st.integers(0, 9)) == 0:
        sent = replace(sent, query=encoded(draw(worse_form(((b"LANG", b"ru"), (b"DOMAIN", b"x"))))))
    if sent.headers.get("Authorization") and draw(st.integers(0, 9)) == 0:
        told = draw(
            st.sampled_from(
                ("", "Bearer", "Bearer x.y.z", sent.headers["Authorization"][:-1], "Basic YTpi", "\xff" * 9)
            )
        )
        sent = replace(sent, headers={**sent.headers, "Authorization": told})
    return replace(sent, body=body)


@st.composite
def meaningless(draw: st.DrawFn, paths: Sequence[bytes]) -> Sent:
    """Any bytes to any path, by any method, with any headers."""
    path = draw(st.sampled_from(paths) | st.binary(max_size=30).map(lambda tail: b"/" + tail))
    if draw(st.integers(0, 5)) == 0:
        path += draw(nasty)
    headers = {}
    for name in (
        "Content-Type",
        "Authorization",
        "X-Forwarded-For",
        "Content-Encoding",
        "Transfer-Encoding",
        "Cookie",
        "Range",
    ):
        if draw(st.integers(0, 3)) == 0:
            headers[name] = draw(
                st.sampled_from(TYPES)
                | st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=20)
            )
    return Sent(
        path,
        draw(st.binary(max_size=300) | nasty),
        bytes(byte for byte in draw(st.binary(max_size=30) | nasty) if byte > 0x20),  # what a request line can carry
        draw(st.sampled_from(METHODS)),
        headers,
        draw(st.sampled_from((None, None, None, "", "-1", "x", "0", "5", "99999999999", str(2**63)))),
    )
