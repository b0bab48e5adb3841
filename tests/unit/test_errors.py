"""Failures that no request can bring about, but a library might."""

import asyncio

import orjson
import pytest
from connexion.exceptions import ProblemException
from starlette.exceptions import HTTPException

from users_api.errors import refused_by_library


@pytest.mark.parametrize("refusal", [HTTPException(418), ProblemException(status=418)])
def test_a_librarys_refusal_is_put_into_the_envelope(refusal: Exception) -> None:
    answer = asyncio.run(refused_by_library(None, refusal))

    assert answer.status_code == 418
    assert orjson.loads(answer.body) == {"status": "fail", "message": "I'm a Teapot"}
