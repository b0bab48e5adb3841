"""The table of deviations from stock Connexion 3.3: each row is an error that the engine avoids."""

import re
from collections.abc import Callable
from typing import NamedTuple

from tests.contract.engine.comparing import Pair

DEFAULTS = {"member": False, "complete": False}


def always(_pair: Pair) -> bool:
    """Accept every pair."""
    return True


def only_defaults_differ(pair: Pair) -> bool:
    """Return whether both got the same form except for defaults."""
    ours, stock = ({**DEFAULTS, **one.value} for one in (pair.ours, pair.stock))
    return bool(ours == stock)


def only_an_object_differs(pair: Pair) -> bool:
    """Return whether Connexion passes an object that was not sent."""
    absent = {"filter": {}} if pair.path.endswith("deep") else {"colour": {}}
    return bool(pair.stock.value == absent | pair.ours.value)


def has_uppercase_media_type(pair: Pair) -> bool:
    """Return whether the media type contains upper-case letters."""
    return pair.content_type != pair.content_type.lower()


def is_text(pair: Pair) -> bool:
    """Return whether the body is a text."""
    return pair.content_type.startswith("text/")


def is_without_body(pair: Pair) -> bool:
    """Return whether the request has no body."""
    return not pair.body


class Row(NamedTuple):
    """A deviation: the engine's response, Connexion's response, and the operations."""

    reason: str
    ours: str
    stock: str
    where: str = ""
    check: Callable[[Pair], bool] = always

    def covers(self, pair: Pair, ours: str) -> bool:
        """Return whether this row explains the difference; `ours` is the engine's status with one error."""
        place = f"{pair.document} {pair.method} {pair.path}"
        theirs = f"{pair.stock.status} {pair.stock.detail}"
        found = (
            re.match(self.ours, ours),
            re.match(self.stock, theirs, re.DOTALL),
            re.match(self.where, place),
        )
        return all(found) and self.check(pair)


TABLE = (
    Row("formats are unchecked", r"40[04] .*must be a valid \S+$", "[25]"),
    Row(
        "formats are unchecked, in alternatives too",
        "400 .*must match at least one",
        "2",
        "recursive POST /expressions",
    ),
    Row("a required readOnly property must be sent", "2", "400 'id' is a required property", "accounts POST"),
    Row("readOnly properties are accepted", "400 .*is read-only", "2"),
    Row(
        "an enum without null accepts null when nullable",
        '400 strict must be "a"',
        "200",
        "keywords POST /combined",
    ),
    Row(
        "a multiple of a fraction is none", "200", "400 .*is not a multiple of 0.01", "keywords POST /numbers"
    ),
    Row(
        "discriminators are ignored",
        "400 .*(kind must be one of|lives|bark is required)",
        "200",
        "recursive POST /animals",
    ),
    Row("malformed UTF-8 is a 500", "400 must be JSON in UTF-8", "500"),
    Row("malformed multipart bodies are a 500", "400 must (be|have) .*boundary", "500"),
    Row("defaults of forms are dropped", "200", "200", "(forms|petstore) POST", only_defaults_differ),
    Row(
        "object parts of multipart bodies are rejected",
        "200",
        "400 .*is not of type .*object",
        "forms POST /multipart",
    ),
    Row(
        "media types in encoding are unchecked",
        "400 picture must be of type image",
        "200",
        "forms POST /multipart",
    ),
    Row(
        "a missing optional body is rejected",
        "200",
        "400 Request body must not be empty",
        "",
        is_without_body,
    ),
    Row("a missing required body that is not JSON is accepted", "400 is required", "2", "", is_without_body),
    Row("texts are not parsed", "20[01]", "20[01]", "(files|media) POST", is_text),
    Row("media types in upper case are unknown", "201", "201", "media POST", has_uppercase_media_type),
    Row("texts are not validated", "400 must (be|have) ", "201", "media POST /notes", is_text),
    Row("bodies of a range are parsed, whatever the schema", "204", "400|500", "files PUT"),
    Row(
        "bytes without a value's media type are a 500",
        "204",
        "500 Multiple response content types",
        "media GET /notes/nothing",
    ),
    Row(
        "objects in paths are unsupported",
        "200",
        "400 .*is not of type .*object",
        "parameters GET /path/simple",
    ),
    Row("label and matrix are unsupported", "200", "40[04]", "parameters GET /path/(label|matrix)"),
    Row("an encoded slash in a path is a 404", "200", "404", "parameters GET /path/text"),
    Row("operation parameters do not override those of the path", "200", "400", "parameters GET /path/text"),
    Row(
        "exploded objects are unsupported",
        "200",
        "400 Missing query parameter 'colour'",
        "parameters GET /query/exploded",
    ),
    Row(
        "objects in style form are unsupported",
        "200",
        "400 .*is not of type 'object'",
        "parameters GET /query/form",
    ),
    Row(
        "an absent object is an empty one",
        "200",
        "200",
        "parameters GET /query/(form|deep)",
        only_an_object_differs,
    ),
    Row("allowEmptyValue is ignored", "200", "400 '' should be non-empty", "parameters GET /query/form"),
    Row(
        "a name with empty brackets is a deepObject",
        "200",
        "400 .*'r' is a required",
        "parameters GET /query/deep",
    ),
    Row("a parameter with content is a 500", "[24]", "500", "parameters GET /query/content"),
    Row(
        "headers and cookies are never converted",
        "200",
        "400 .*is not of type",
        "(parameters|sessions) (GET /header|GET /cookie|PUT)",
    ),
    Row("headers are no arguments", "304", "200", "sessions GET"),
    Row("openIdConnect is unsupported", "[24]0[03]", "401", "security GET /openid"),
)


def rows(pair: Pair) -> set[str] | None:
    """Return the reasons for a difference, or None if no row covers an error of the engine or its success."""
    errors = pair.ours.detail.split("; ") if pair.ours.kind == 4 else [""]
    found = [
        next((row.reason for row in TABLE if row.covers(pair, f"{pair.ours.status} {error}")), None)
        for error in errors
    ]
    return None if None in found else {reason for reason in found if reason}
