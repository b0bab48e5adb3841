"""Base64url without padding (RFC 7515, 2), in its only canonical form, so that no token has a second one."""

import base64
from contextlib import suppress


def encode(content: bytes) -> str:
    """Return the text of the bytes."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Return the bytes of a text.

    Raises:
        ValueError: `encode` returns this text for no bytes; the message does not show it.
    """
    with suppress(ValueError):
        content = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        if encode(content) == text:  # Python ignores foreign characters and the unused bits of the last one.
            return content
    message = "it is not canonical base64url"
    raise ValueError(message)
