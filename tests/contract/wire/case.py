"""A case: the bytes to send, and the expected responses."""

from typing import NamedTuple

EMAIL = "ada@wire.example"
CLIENT = f"<{'client':-^30}>"  # As long as an id, because it stands in bodies.
SECRET = f"<{'secret':-^41}>"
BASIC = "<basic>"
NO_USER = "User does not exist"
NO_PATH = "There is nothing at this path. See /ui/ for what there is."
NO_METHOD = "Method not allowed. See the Allow header for what this path has."
PARAMETER = "Invalid parameter."
PAYLOAD = "Invalid payload."
STALE = "Precondition failed."
TOO_LARGE = "The request body must not be larger than 1 MiB."
NO_JSON = "The request body must be application/json in UTF-8, without a content coding."
NO_HTTP = "The request is not valid HTTP/1.1."
HEAD_TOO_LARGE = "The request line and the headers must not be larger than 64 KiB together."
NO_FORM = "The request body must be application/x-www-form-urlencoded in UTF-8, without a content coding."
UNAUTHORIZED = "Authentication required."
SLOW_HEAD = "The request line and the headers did not arrive within 10 seconds."
SLOW_BODY = "The request body did not arrive within 10 seconds."


class Answer(NamedTuple):
    """A response: its status, form (none: an empty body), message, invalid fields, and relevant headers.

    The form is the envelope's `success` or `fail`, or one of another standard: `metrics`, `keys`, `token`, or
    `refusal` (of a token), whose message is the code of the error.
    """

    status: int
    form: str | None
    message: str | None = None
    fields: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()


class Pause(NamedTuple):
    """A pause during which nothing is sent, unless a response arrives."""

    seconds: float


class Case(NamedTuple):
    """The pieces to send and the expected responses in order.

    Afterwards the connection is closed or ready for the next request.
    `<id>` and `<etag>` are replaced by those of an existing user with the email address EMAIL, and CLIENT,
    SECRET and BASIC by the id and the secret of a client, if there are clients.
    """

    pieces: tuple[bytes | Pause, ...]
    answers: tuple[Answer, ...] = ()
    half_closes: bool = False
    closed: bool = False


def _headers(headers):
    return tuple((name.replace("_", "-"), value) for name, value in headers.items())


def success(status=200, message=None, **headers):
    return Answer(status, "success", message, headers=_headers(headers))


def fail(status, message, *fields, **headers):
    return Answer(status, "fail", message, fields, _headers(headers))


def refusal(error, status=400, **headers):
    return Answer(status, "refusal", error, headers=_headers(headers))


def empty(status, **headers):
    return Answer(status, None, headers=_headers(headers))


REFUSED = fail(400, NO_HTTP, connection="close")


def one(request, *answers, **how):
    return Case((request,), answers, **how)
