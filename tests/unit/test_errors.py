"""Errors that libraries may raise, though no request currently causes them."""

import orjson
import pytest
from connexion.exceptions import ProblemException
from starlette.exceptions import HTTPException

from users_api.errors import INTERNAL_ERROR_MESSAGE, UNAVAILABLE_MESSAGE, rejected_by_library
from users_api.server.failures import APPLICATION_FAILED_MESSAGE, Overloaded


@pytest.mark.parametrize("error", [HTTPException(418), ProblemException(status=418)])
def test_an_http_exception_of_a_library_is_rendered_in_the_envelope(error: Exception) -> None:
    response = rejected_by_library(error)

    assert response.status == 418
    assert orjson.loads(response.body) == {"status": "fail", "message": "I'm a Teapot"}


def test_the_server_words_its_failures_as_the_service_does() -> None:
    assert APPLICATION_FAILED_MESSAGE == INTERNAL_ERROR_MESSAGE
    assert Overloaded.message == UNAVAILABLE_MESSAGE
