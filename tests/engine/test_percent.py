"""Percent-decoding is that of `urllib.parse`, but strict."""

from time import thread_time
from urllib.parse import quote, unquote, unquote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from users_api.engine.percent import decode_form, decode_percent


@given(st.text(), st.sampled_from(["", "/", "\\"]))
def test_a_quoted_text_is_decoded(text, safe):
    assert decode_percent(quote(text, safe)) == text


@example("%ff")
@given(st.text(st.sampled_from("%+\\xuN{}4f5C0a é&"), max_size=12))
def test_other_texts_are_decoded_as_by_the_standard_library(text):
    try:
        expected = unquote(text, errors="strict"), unquote_plus(text, errors="strict")
    except UnicodeDecodeError:
        expected = None
    try:
        assert (decode_percent(text), decode_form(text)) == expected
    except ValueError:
        assert expected is None or "%" in expected[0].replace("%25", "")


@pytest.mark.parametrize("text", ["%", "%4", "%4g", "a%zz", "%ff", "%C3", "%ed%a0%80"])
def test_an_invalid_escape_is_rejected(text):
    for decode in (decode_percent, decode_form):
        with pytest.raises(ValueError):  # noqa: PT011 -- its subclass, UnicodeDecodeError, too.
            decode(text)


@pytest.mark.parametrize("text", ["%41", "%C3%B6", "%41a", "+%2B"])
def test_a_megabyte_is_decoded_at_once(text):
    start = thread_time()
    decode_form(text * (1024**2 // len(text)))

    assert thread_time() - start < 0.3  # The standard library takes several times as long.
