"""The schema for each `format`, which jsonschema-rs checks without calling Python."""

from typing import Any, Final

INT32: Final = 2**31
INT64: Final = 2**63
FLOAT: Final = (2 - 2**-23) * 2.0**127  # The largest finite numbers of IEEE 754.
DOUBLE: Final = (2 - 2**-52) * 2.0**1023
UUID: Final = "^[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"
BASE64: Final = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
FORMATS: Final[dict[str, dict[str, Any]]] = {
    "date": {"format": "date"},
    "date-time": {"format": "date-time"},
    "email": {"format": "email"},
    "hostname": {"format": "hostname"},
    "ipv4": {"format": "ipv4"},
    "ipv6": {"format": "ipv6"},
    "uri": {"format": "uri"},
    "uuid": {"pattern": UUID},
    "byte": {"pattern": BASE64},
    "int32": {"multipleOf": 1, "minimum": -INT32, "maximum": INT32 - 1},
    "int64": {"multipleOf": 1, "minimum": -INT64, "maximum": INT64 - 1},
    "float": {"minimum": -FLOAT, "maximum": FLOAT},
    "double": {"minimum": -DOUBLE, "maximum": DOUBLE},
}
