"""The network between the service and PostgreSQL is cut, slow, or breaks connections off."""

from collections.abc import Iterator

import pytest

from tests.resilience.conftest import RECOVERY_SECONDS, UnderLoad
from tests.resilience.network import Network, network
from tests.server import Service, service

DELAY_SECONDS = 0.1


@pytest.fixture(scope="module")
def route(faulty_url: str) -> Iterator[tuple[Network, str]]:
    """A network that can be made to fail, and the URL that leads through it."""
    with network(faulty_url) as route:
        yield route


@pytest.fixture(scope="module")
def running(route: tuple[Network, str]) -> Iterator[Service]:
    """The real server, which reaches its database, or PgBouncer, by this network only."""
    with service(route[1]) as running:
        yield running


@pytest.fixture
def net(route: tuple[Network, str]) -> Iterator[Network]:
    """The network, which is whole again afterwards."""
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


def test_the_network_breaks_connections_off(under_load: UnderLoad, running: Service, net: Network) -> None:
    with under_load("every connection to PostgreSQL reset, ten times", running) as load:
        for _ in range(10):
            net.reset()
            assert load.recover() < RECOVERY_SECONDS
