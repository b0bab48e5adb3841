"""Strategies for cases: valid requests in which one thing is repeated, nested or foreign."""

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from tests.performance.costs.cases import CONNECTION, READ, Case
from tests.performance.costs.documents import BODY_LIMIT, Subject
from tests.performance.costs.shapes import Shape, around, compact, sites
from users_api.engine.media_types import MULTIPART, is_json

HEAD_LIMIT = 62 * 1024  # The rest of the head needs room too.
SINGLE_BYTES_LIMIT = 2 * 1024  # Each read is a step of its own, between which other requests run.
SIZES = (1, 1024, 8 * 1024, 64 * 1024, 64 * 1024, BODY_LIMIT, BODY_LIMIT, BODY_LIMIT)
DEPTHS = (0, 0, 1, 2, 5, 12, 30, 60, 120, 200, 253)
VALUES = (
    "0", "1", "-1", "1.5", "1e99", "1e-300", "9" * 19, "9" * 300, "2.2250738585072011360574097967e-308",
    "#", "true", "false", "null", '""', '"a"', '"#"', '"a:b"', '"\\u0000"', '"\\ud83d\\ude00"', '"\\ud83d"',
    "[]", "{}", "[[]]", "[{}]", "[0,0,0,0]", '{"":0}', '{"":0,"":0}', '{"a#":0}', '[0,0,"a"]',
)  # fmt: skip
CHARACTERS = (
    "a", "1", "a.", "a@", "-", "AAAA", ":", "0000-", "[", "%41", "\\u00e9", "\\u0041", '\\"', "\\\\", " ",
    "/", "\\ud83d\\ude00", "123456789012345678a", "~", "\\u0000", "é",
)  # fmt: skip
PIECES = (
    "a", "1", "0", "x", "#", "#", "=", "=", "&", "&", ",", ",", ";", ".", "|", "+", " ", "[", "]", "[a]",
    "[#]", '"', '\\"', "\\", "\\1", "%41", "%2C", "%22", "%C3%B6", "%FF", "%", "/", "*", "-", ":", "\t",
    "W/", '"a"', "true", "null", "{}", "{", "}", "0,", "Bearer ", "charset=utf-8",
)  # fmt: skip
DISPOSITION = "--x\r\nContent-Disposition: form-data; name="
PART_HEADS = (
    ";a=b", ";", ";a*0=b", ";a#=b", '\\"', "\r\na:b", "\r\na#:b", "\r\n b", "; filename=a",
    "\r\nX-Width: 3", "\r\nContent-Type: text/plain", "\r\nContent-Type: application/json",
    "\r\nContent-Type: image/png",
)  # fmt: skip
CONTENTS = (
    "\r\n", "\r", "\n", "\r\n--", "\r\n--y", "--x", "\r\n--x ", " ", "a", "{}", "[{}]", "0", "\r\n--x--",
    "é", "\0",
)  # fmt: skip
CHUNKS = (
    "1\r\na\r\n", "1;a=b\r\na\r\n", "0001\r\na\r\n", "1;\r\n,\r\n", "2\r\n{}\r\n",
    "f\r\n{},{},{},{},{},\r\n",
)  # fmt: skip
LINES = (
    "a:b\n",
    "a#:b\n",
    "cookie:a=b\n",
    "a:\n",
    "expect:100-continue\n",
    "upgrade:a\n",
    "host:a\n",
    "a: \tb\n",
)
PIPELINED = (
    "GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "\r\n",
    "\n",
    "GET ",
    "a",
)


@st.composite
def cases(draw: st.DrawFn, subjects: Sequence[Subject]) -> Case:
    """Return a case of one of the operations."""
    subject = draw(st.sampled_from(list(subjects)))
    place = draw(st.sampled_from([*subject.places, CONNECTION]))
    limit = BODY_LIMIT if "/" in place or place == CONNECTION else HEAD_LIMIT
    if place == CONNECTION:
        shape = draw(connections(subject))
    elif place == MULTIPART:
        shape = draw(parts(subject))
    elif "/" in place and is_json(place):
        shape = draw(json_texts(subject))
    elif place == "headers":
        shape = Shape(draw(st.sampled_from(LINES)))
    elif place == "path":
        shape = draw(paths(subject))
    else:
        shape = draw(texts(subject, place))
    read = draw(st.sampled_from((READ, READ, READ, 1))) if place == CONNECTION else READ
    size = min(draw(st.sampled_from(SIZES)), limit if read > 1 else SINGLE_BYTES_LIMIT)
    return Case(subject.document, subject.operation, place, shape.filling(size), read)


@st.composite
def json_texts(draw: st.DrawFn, subject: Subject) -> Shape:
    """Return JSON in which a value of an example, perhaps nested in itself, is replaced by a growing one."""
    whole = draw(st.sampled_from(subject.bodies or ({},)))
    path, value = draw(st.sampled_from(sites(whole)))
    head, tail = around(whole, path)
    inner, innermost = draw(st.sampled_from(sites(value)))
    if inner:
        opening, closing = around(value, inner)
    else:
        opening, closing = draw(st.sampled_from((("[", "]"), ('{"a":', "}"), ('{"a":0,"a":', "}"))))
    tail = draw(st.sampled_from((tail, tail, tail, "", f"]{tail}", f"{tail}\0")))
    shape = draw(growing(subject, innermost))._replace(head=head, tail=tail)
    if depth := draw(st.sampled_from(DEPTHS)):
        shape = shape._replace(depth=depth, opening=opening, closing=closing)
    return shape


@st.composite
def growing(draw: st.DrawFn, subject: Subject, value: Any) -> Shape:
    """Return a growing array, object, string or number; the first two may begin with the value's members."""
    members = [compact(each) for body in subject.bodies for _, each in sites(body)]
    unit = draw(st.sampled_from([*VALUES, *members]))
    kind = draw(st.sampled_from(("array", "object", "more", "more", "string", "number")))
    if kind == "string":
        return Shape(draw(st.sampled_from(CHARACTERS)), start='"', end='"')
    if kind == "number":
        return Shape(draw(st.sampled_from("019")), start=draw(st.sampled_from(("1", "0.", "1e", "-"))))
    start, end = "{}" if kind == "object" else "[]"
    if kind == "more" and value and isinstance(value, (dict, list)):
        start, end = f"{compact(value)[:-1]},", compact(value)[-1]
    if end == "}":
        name = draw(st.sampled_from([*subject.names, "", "a", "n" * 1000]))
        unit = f"{compact(name + draw(st.sampled_from(('', '#', '#'))))}:{unit}"
    return Shape(unit, joint=",", start=start, end=end)


@st.composite
def texts(draw: st.DrawFn, subject: Subject, place: str) -> Shape:
    """Return a text of repeated pieces, perhaps after the name of a property or parameter."""
    valid = {name.lower(): value for name, value in subject.valid.headers}.get(place, "")
    heads = ["", valid, *(f"{name}=" for name in subject.names), *(f"{name}[" for name in subject.names)]
    pieces = st.sampled_from([*PIECES, *subject.names])
    unit = "".join(draw(st.lists(pieces, min_size=1, max_size=4)))
    return Shape(
        unit, head=draw(st.sampled_from(heads)), tail=draw(st.sampled_from(("", "", "a", '"', "=", "]")))
    )


@st.composite
def paths(draw: st.DrawFn, subject: Subject) -> Shape:
    """Return a path that is valid up to a slash, or for a whole segment more."""
    segments = subject.valid.target.partition("?")[0].split("/")
    at = draw(st.integers(1, len(segments) - 1))
    head = "/".join([*segments[:at], draw(st.sampled_from(("", segments[at])))])
    rest = "/".join(["", *segments[at + 1 :]]) if len(segments) > at + 1 else ""
    unit = "".join(draw(st.lists(st.sampled_from(PIECES), min_size=1, max_size=3))).replace("?", "")
    return Shape(unit, head=head, tail=rest)


@st.composite
def parts(draw: st.DrawFn, subject: Subject) -> Shape:
    """Return multipart bodies: many parts, or one part with a large head or content."""
    name = draw(st.sampled_from([*subject.names, "#", '"']))
    heads = "".join(draw(st.lists(st.sampled_from(PART_HEADS), max_size=3)))
    content = draw(st.sampled_from(CONTENTS))
    kind = draw(st.sampled_from(("parts", "head", "content", "preamble")))
    if kind == "parts":
        return Shape(f"{DISPOSITION}{name}{heads}\r\n\r\n{content}\r\n", tail="--x--\r\n")
    if kind == "head":
        return Shape(heads or ";", head=f"{DISPOSITION}{name}", tail=f"\r\n\r\n{content}\r\n--x--\r\n")
    if kind == "content":
        return Shape(content, head=f"{DISPOSITION}{name}{heads}\r\n\r\n", tail="\r\n--x--\r\n")
    return Shape(content, tail=f"\r\n{DISPOSITION}{name}{heads}\r\n\r\n\r\n--x--\r\n")


@st.composite
def connections(draw: st.DrawFn, subject: Subject) -> Shape:
    """Return requests as they arrive: a body in many chunks, a head of many lines, or many requests."""
    valid = subject.valid
    request_line = f"{valid.method} {valid.target} HTTP/1.1\r\nHost: localhost\r\n"
    lines = "".join(f"{name}: {value}\r\n" for name, value in valid.headers)
    kind = draw(st.sampled_from(("chunks", "lines", "requests", "body", "trailers")))
    if kind == "chunks":
        head = f"{request_line}{lines}Transfer-Encoding: chunked\r\n\r\n"
        return Shape(draw(st.sampled_from(CHUNKS)), head=head, tail="0\r\n\r\n")
    if kind == "trailers":
        head = f"{request_line}{lines}Transfer-Encoding: chunked\r\n\r\n0\r\n"
        return Shape(_line(draw), head=head, tail="\r\n")
    if kind == "lines":
        return Shape(_line(draw), head=f"{request_line}{lines}", tail="\r\n")
    if kind == "requests":
        return Shape(draw(st.sampled_from((*PIPELINED, f"{request_line}{lines}\r\n"))))
    unit = draw(st.sampled_from(("{},", "a", " ")))
    return Shape(unit, head=f"{request_line}{lines}Content-Length: {BODY_LIMIT}\r\n\r\n")


def _line(draw: st.DrawFn) -> str:
    return draw(st.sampled_from(LINES)).replace("\n", "\r\n")
