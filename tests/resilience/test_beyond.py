"""More than one machine: a pooler, a promoted standby, and two instances behind a reverse proxy."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.resilience.conftest import RECOVERY_SECONDS, UnderLoad, kill
from tests.resilience.load import WRITERS
from tests.resilience.proxies import haproxy
from tests.resilience.standby import standby
from tests.support.postgres import postgresql
from tests.support.programs import Program
from tests.support.service import Service, service


def test_the_functional_tests_pass_through_pgbouncer(root: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.resilience.pooled", "tests/functional"]

    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)

    print(done.stdout)
    assert done.returncode == 0


@pytest.mark.parametrize("pooler", [True], indirect=True, ids=["pgbouncer"])
def test_pgbouncer_is_killed(under_load: UnderLoad, running: Service, pooler: Program) -> None:
    with under_load("PgBouncer killed and restarted", running) as load:
        pooler.kill()
        load.fail()
        pooler.start()
        assert load.recover() < RECOVERY_SECONDS


def test_the_service_follows_a_promoted_standby(under_load: UnderLoad) -> None:
    with postgresql() as primary, standby(primary) as successor:
        hosts = f"127.0.0.1:{primary.port},127.0.0.1:{successor.port}"
        url = (
            primary.create("users_replicated").replace(f"127.0.0.1:{primary.port}", hosts)
            + "?target_session_attrs=read-write"
        )
        with (
            service(url) as running,
            under_load("primary killed, synchronous standby promoted", running) as load,
        ):
            kill(primary.process)
            load.fail()
            successor.promote()
            assert load.recover() < RECOVERY_SECONDS


# Its workers end one after the other, so a writer may be connected to both of them in turn.
BROKEN = 2 * WRITERS


def test_one_of_two_instances_is_killed(under_load: UnderLoad, running: Service, faulty_url: str) -> None:
    with (
        service(faulty_url) as other,
        haproxy(running, other) as proxy,
        under_load(
            "one of two instances behind HAProxy killed", other, port=proxy.port, broken=BROKEN
        ) as load,
    ):
        kill(other.process)
        assert load.recover() < RECOVERY_SECONDS
        other.start()
        load.go_on()
