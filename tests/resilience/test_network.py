"""The network between the service and PostgreSQL is cut, slow, or resets connections."""

from collections.abc import Iterator

import pytest

from tests.resilience.conftest import RECOVERY_SECONDS, UnderLoad
from tests.support.network import Network, network
from tests.support.service import Service, service

DELAY_SECONDS = 0.1


@pytest.fixture(scope="module")
def route(faulty_url: str) -> Iterator[tuple[Network, str]]:
    """A network that can fail, and the URL that leads through it."""
    with network(faulty_url) as route:
        yield route


@pytest.fixture(scope="module")
def running(route: tuple[Network, str]) -> Iterator[Service]:
    """The real server, which reaches its database or PgBouncer only through this network."""
    with service(route[1]) as running:
        yield running


@pytest.fixture
def net(route: tuple[Network, str]) -> Iterator[Network]:
    """The network, repaired after the test."""
    yield route[0]
    route[0].mend()


def test_the_network_is_cut(under_load: UnderLoad, running: Service, net: Network) -> None:
    with under_load("network to PostgreSQL cut", running) as load:
        net.cut()
        load.fail()
        net.mend()
        assert load.recover() < RECOVERY_SECONDS


def test_the_network_is_slow(under_load: UnderLoad, running: Service, net: Network) -> None:
    with under_load(f"network slow: {DELAY_SECONDS * 1000:.0f} ms each way", running) as load:
        net.delay(DELAY_SECONDS)
        load.go_on()
        net.mend()
        assert load.recover() < RECOVERY_SECONDS


def test_the_network_resets_connections(under_load: UnderLoad, running: Service, net: Network) -> None:
    with under_load("every connection to PostgreSQL reset, ten times", running) as load:
        for _ in range(10):
            net.reset()
            assert load.recover() < RECOVERY_SECONDS
