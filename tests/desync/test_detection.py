"""The conversations detect a back end that misreads requests."""

import pytest

from tests.desync.attacks import FAMILIES, Attack
from tests.desync.conftest import LANES
from tests.desync.front_ends import FRONT_ENDS, front_end
from tests.desync.readings import coding_first, length_first, no_body_on_get
from tests.desync.relays import BackEnd, FrontEnd, serving


@pytest.fixture
def back_ends(misled, stack):
    """Returns the ports of back ends with this framing, one for each lane."""
    return lambda framing: [stack.enter_context(serving(BackEnd(misled.port, framing))) for _ in range(LANES)]


def detected(converse, attacks):
    """Return the names of the attacks that make a victim receive something else than its response."""
    futures = [converse(name, attack) for name, attack in attacks.items()]
    reports = [future.result() for future in futures]
    return {report.name for report in reports if any("WrongResponse" in fault for fault in report.faults)}


@pytest.mark.parametrize("name", ["CL.TE", "TE.CL"])
def test_two_readings_of_one_request_are_detected(back_ends, stack, misled, lanes_to, name):
    front, back = (length_first, coding_first) if name == "CL.TE" else (coding_first, length_first)
    ports = [stack.enter_context(serving(FrontEnd(port, front))) for port in back_ends(back)]
    attacks = {
        each: attack
        for each, attack in FAMILIES["two framings"].items()
        if each.startswith(f"{name}: chunked") and each.endswith("half a head") and not attack.leaves
    }

    found = detected(lanes_to(name, ports, misled), attacks)

    assert found == set(attacks) != set()


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_a_body_read_as_a_request_is_detected_behind_front_ends(back_ends, stack, misled, lanes_to, name):
    ports = stack.enter_context(front_end(name, back_ends(no_body_on_get)))
    request = b"".join(FAMILIES["bodies"]["GET /ping: half a head with a length"].pieces)
    # A front end closes the connection when the response is faster than the body.
    attempts = {f"attempt {number}": Attack((request,)) for number in range(20)}

    assert detected(lanes_to(name, ports, misled), attempts)
