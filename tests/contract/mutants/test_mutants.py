"""The document says nothing that is not so, and every change of it is noticed."""

import pytest

from tests.contract.mutants.mutations import mutants

SAMPLE = 2
SHOWN = 20
MESSAGE = "components/schemas/FieldError/properties/message"
ERRORS = "components/schemas/Refusal/properties/errors"
OPEN = "the words come from the rule and from the JSON parser, so the longest is not known: the bound is only a roof"
COUNT = "only the 1 MiB of a payload bounds how much can be wrong with it: the bound is only a roof"
SHORT = "its pattern or format refuses whatever is shorter: the bound says it once more, for readers and generators"
TEXT = "a parameter is sent as text, which has no null"
SURVIVORS = {
    "components/headers/Location/schema: minLength -1": SHORT,
    "components/headers/RetryAfter/schema: minLength -1": SHORT,
    "components/schemas/Email: minLength -1": SHORT,
    "components/schemas/EntityTags: minLength -1": SHORT,
    "components/schemas/EntityTags: nullable True": TEXT,
    **{f"paths//users/get/parameters/{index}/schema: nullable True": TEXT for index in (0, 1, 4)},
    f"{MESSAGE}: maxLength -1": OPEN,
    f"{MESSAGE}: maxLength +1": OPEN,
    f"{MESSAGE}: maxLength removed": OPEN,
    f"{ERRORS}: maxItems -1": COUNT,
    f"{ERRORS}: maxItems +1": COUNT,
    f"{ERRORS}: maxItems removed": COUNT,
}


def test_the_document_tells_the_truth(judge, document) -> None:
    complaints = list(dict.fromkeys(judge.complaints(document)))

    assert not complaints, "\n".join(complaints[:SHOWN])


def test_every_mutant_is_caught(judge, document, capsys, pytestconfig: pytest.Config) -> None:
    chosen = list(mutants(document))[:: 1 if pytestconfig.getoption("--all-mutants") else SAMPLE]

    survivors = {name for name, mutant in chosen if not any(judge.complaints(mutant))}

    with capsys.disabled():
        print(f"\nmutants: {len(chosen) - len(survivors)} of {len(chosen)} caught")
        for name in sorted(survivors):
            print(f"  survived  {name}: {SURVIVORS.get(name, 'no reason')}")
    assert survivors == SURVIVORS.keys() & {name for name, _ in chosen}
