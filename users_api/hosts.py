"""Rejects requests to other hosts, which a web page can send by DNS rebinding."""

import re
from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from users_api.envelope import failure

HOST: Final = re.compile(r"(\[[^\]]*\]|[^:]*?)\.?(?::[0-9]*)?")
MISDIRECTED_MESSAGE: Final = "Misdirected request."


class AllowedHosts:
    """ASGI middleware that responds 421 to requests for other hosts (RFC 9110, 15.5.20).

    Orchestrators address a container by its IP address, hence the exempt paths. A request of HTTP/1.0 may
    name no host; no browser sends one.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str], exempt_paths: frozenset[str]) -> None:
        """Wrap the application; the host names are in lower case and have no port."""
        self._app, self._hosts, self._exempt_paths = app, hosts, exempt_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application if the request is for one of the hosts."""
        host = next((value for name, value in scope["headers"] if name == b"host"), None)
        is_allowed = host is None or scope["path"] in self._exempt_paths or _host_name(host) in self._hosts
        if is_allowed:
            await self._app(scope, receive, send)
        else:
            await failure(HTTPStatus.MISDIRECTED_REQUEST, MISDIRECTED_MESSAGE).send(scope, send, receive)


def _host_name(host: bytes) -> str:
    """Return the name in a Host header, in lower case, without the port and without the root's dot."""
    text = host.decode("latin-1").lower()
    found = HOST.fullmatch(text)
    return found[1] if found else text
