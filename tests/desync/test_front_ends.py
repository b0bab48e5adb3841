"""Behind real and lenient front ends, no attacker changes what other clients receive or store."""

from contextlib import ExitStack, closing

import psycopg2
import pytest

from tests.desync.attacks import FAMILIES
from tests.desync.conftest import LANES
from tests.desync.front_ends import FRONT_ENDS, front_end
from tests.desync.readings import coding_first, length_first
from tests.desync.relays import FrontEnd, serving

LENIENT = {"prefers Transfer-Encoding": coding_first, "prefers Content-Length": length_first}
FEWEST = 700


@pytest.fixture(scope="module")
def reports(request, running, lanes_to):
    """The running or finished conversations of the selected tests, those of all front ends in parallel."""
    selected = [item.callspec.params for item in request.session.items if "reports" in item.fixturenames]
    with ExitStack() as stack:

        def ports(front):
            if front in FRONT_ENDS:
                return stack.enter_context(front_end(front, [running.port] * LANES))
            return [
                stack.enter_context(serving(FrontEnd(running.port, LENIENT[front]))) for _ in range(LANES)
            ]

        fronts = {params["front"] for params in selected}
        converse = {front: lanes_to(front, ports(front), running) for front in sorted(fronts)}
        yield {
            (front, family): [converse[front](name, attack) for name, attack in FAMILIES[family].items()]
            for front, family in [(params["front"], params["family"]) for params in selected]
        }


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("front", [*FRONT_ENDS, *LENIENT])
def test_victims_receive_their_own_responses(reports, family, front):
    finished = [future.result() for future in reports[front, family]]

    faulty = [str(report) for report in finished if report.faults]
    assert not faulty, "\n".join(faulty)


def test_only_users_of_attackers_are_left(running):
    with closing(psycopg2.connect(running.environment["DATABASE_URL"])) as database:
        cursor = database.cursor()
        cursor.execute("SELECT email, username, active FROM users WHERE email NOT LIKE 'evil-%'")
        strangers = cursor.fetchall()
        cursor.execute("SELECT DISTINCT username, active FROM users WHERE email LIKE 'evil-%'")
        attackers = cursor.fetchall()

    assert strangers == []
    assert attackers in ([], [("Mallory", True)])
    assert "Traceback" not in running.output()


def test_the_attacks_differ():
    attacks = [attack.pieces for family in FAMILIES.values() for attack in family.values()]

    assert len(set(attacks)) == len(attacks) >= FEWEST
