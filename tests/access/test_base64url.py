"""Each sequence of bytes has one text in base64url."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from users_api.access.base64url import decode, encode


@given(st.binary())
def test_bytes_survive(content: bytes) -> None:
    assert decode(encode(content)) == content


@pytest.mark.parametrize(
    "text",
    [
        "A",
        "AAAAA",
        "AB",
        "AAB",
        "AA==",
        "AAA=",
        "AA\n",
        " AA",
        "A.A",
        "+/+/",
        "A\0",
        "\u00e9\u00e9",
        "\ud800A",
    ],
)
def test_other_texts_are_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"^it is not canonical base64url$"):
        decode(text)


@given(st.text("AB+/-_=.\n", max_size=8))
def test_no_bytes_have_two_texts(text: str) -> None:
    try:
        assert encode(decode(text)) == text
    except ValueError as error:
        assert str(error) == "it is not canonical base64url"  # noqa: PT017 -- most texts are rejected.
