"""The document is accurate, and every change of it is detected."""

import pytest

from tests.contract.mutants.mutations import mutants

SAMPLE = 2
SHOWN = 20
MESSAGE = "components/schemas/FieldError/properties/message"
ERRORS = "components/schemas/Refusal/properties/errors"
OPEN = (
    "messages quote rules and the JSON parser, so their maximum length is unknown: "
    "the bound is only an upper limit"
)
COUNT = "only the payload's limit of 1 MiB bounds the number of errors: the bound is only an upper limit"
SHORT = "its pattern or format rejects shorter values: the bound repeats this for readers and generators"
LONG = "its pattern or format rejects longer values: the bound repeats this for readers and generators"
POST = "`POST` alone is the shortest, on a path that exists only with AUTH=required"
TEXT = "parameters are text, which has no null"
SINGLE = "a single value is written the same way, exploded or not"
SURVIVORS = {
    "components/headers/Allow/schema: minLength -1": POST,
    "components/headers/Allow/schema: minLength +1": POST,
    "components/headers/Location/schema: minLength -1": SHORT,
    "components/headers/RetryAfter/schema: minLength -1": SHORT,
    "components/schemas/Email: minLength -1": SHORT,
    "components/schemas/EntityTags: minLength -1": SHORT,
    "components/schemas/EntityTags: nullable True": TEXT,
    "components/schemas/Moment: minLength -1": SHORT,
    "components/schemas/Moment: maxLength +1": LONG,
    "components/schemas/Moment: maxLength removed": LONG,
    "components/schemas/Moment: nullable True": TEXT,
    **{f"paths//users/get/parameters/{index}/schema: nullable True": TEXT for index in (0, 1, *range(4, 9))},
    f"{MESSAGE}: maxLength -1": OPEN,
    f"{MESSAGE}: maxLength +1": OPEN,
    f"{MESSAGE}: maxLength removed": OPEN,
    f"{ERRORS}: maxItems -1": COUNT,
    f"{ERRORS}: maxItems +1": COUNT,
    f"{ERRORS}: maxItems removed": COUNT,
}


def test_the_document_is_accurate(judge, document) -> None:
    complaints = list(dict.fromkeys(judge.complaints(document)))

    assert not complaints, "\n".join(complaints[:SHOWN])


def test_every_mutant_is_caught(judge, document, capsys, pytestconfig: pytest.Config) -> None:
    chosen = list(mutants(document))[:: 1 if pytestconfig.getoption("--all-mutants") else SAMPLE]

    expected = {name for name, _ in chosen if reason(name)}
    survivors = {name for name, mutant in chosen if not any(judge.complaints(mutant))}

    with capsys.disabled():
        print(f"\nmutants: {len(chosen) - len(survivors)} of {len(chosen)} caught")
        for name in sorted(survivors):
            print(f"  survived  {name}: {reason(name) or 'no reason'}")
    assert survivors == expected


def reason(name: str) -> str | None:
    """Return why a mutant may survive."""
    return SINGLE if ": explode " in name else SURVIVORS.get(name)
