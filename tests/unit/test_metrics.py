"""The memory of the metrics has room for what the document can answer."""

import pytest

from users_api.http.document import load_document
from users_api.http.metrics import STATUSES, Metrics

BEFORE_THE_APPLICATION = {431}  # The server itself refuses such a head.


def test_each_status_of_the_document_is_counted_apart() -> None:
    operations = [part for path in load_document()["paths"].values() for part in path.values() if "responses" in part]
    documented = {int(status) for operation in operations for status in operation["responses"]}

    assert documented - BEFORE_THE_APPLICATION <= set(STATUSES)


def test_more_operations_than_there_is_room_for_are_refused() -> None:
    with pytest.raises(ValueError, match="more operations"):
        Metrics(map(str, range(1000)))
