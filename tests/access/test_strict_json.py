"""Objects that two parsers could interpret differently are rejected; the corpus has more of them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from users_api.access.strict_json import parse_object

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), VALUES, max_size=5))
def test_objects_survive(value) -> None:
    assert parse_object(json.dumps(value).encode()) == value
    assert parse_object(json.dumps(value, ensure_ascii=False).encode()) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "is not JSON: Input is a zero-length, empty document: line 1 column 1 (char 0)"),
        (b"{", "is not JSON: unexpected end of data: line 1 column 2 (char 1)"),
        (b'{"a":NaN}', "is not JSON: unexpected character, expected a JSON value: line 1 column 6 (char 5)"),
        (b"[]", "is not a JSON object"),
        (b"1", "is not a JSON object"),
        (b'{"a":' + b"[" * 16 + b"]" * 16 + b"}", "has more than 16 levels"),
        (b'{"a":1,"a":1}', "has a member more than once"),
        (b'{"a":1,"\\u0061":2}', "has a member more than once"),
        (b'{"a":[{"b":{},"b":{}}]}', "has a member more than once"),
    ],
)
def test_other_texts_are_rejected(text: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|has) ") as error:
        parse_object(text)

    assert str(error.value) == reason


def test_numbers_have_limits() -> None:
    assert parse_object(b'{"a":1%s}' % (b"0" * 300)) == {"a": 1e300}
    with pytest.raises(ValueError, match="number is infinity"):
        parse_object(b'{"a":1%s}' % (b"0" * 400))
