"""What a request costs as the table, the connections, the bodies and the uptime grow."""

from collections.abc import Callable
from typing import Final, NamedTuple

import psutil
from matplotlib import pyplot as plt

from bench.compare import FailuresError
from bench.load import NAMED, Cost, Operation, Target, run, settle
from bench.report import RESULTS, markdown, save
from bench.systems import Database, System, database, users_api

TABLES: Final = (1_000, 10_000, 100_000, 1_000_000)
CONNECTIONS: Final = (1, 4, 16, 64, 256)
BODIES: Final = (0, 1_000, 10_000, 100_000, 1_000_000)
REQUESTS: Final = 100_000
MIX: Final = ("get one", "list 100", "filter by email", "PUT", "PATCH", "POST", "refused POST")
SECONDS: Final = 2
MEGABYTE: Final = 1_000_000
Row = tuple[str, float, Cost]


class Bench(NamedTuple):
    """This service and its database."""

    system: System
    database: Database

    def cost(self, operation: Operation, users: int, *, connections: int = 16) -> Cost:
        """Return what the operation costs with so many users.

        Raises:
            FailuresError: an answer was not the expected one.
        """
        target = Target(self.system.url, (self.system.pid, self.database.server.process.pid), users)
        settle(target.processes)
        self.database.run("DELETE FROM users WHERE id > %s", users)
        found = run(operation._replace(connections=connections), target, seconds=SECONDS)
        print(f"{operation.name:16} {users:8} users {connections:4} connections {found.cpu:7.3f} ms CPU", flush=True)
        if found.failures:
            raise FailuresError(operation.name, found)
        return found


def measure() -> None:
    """Measure everything, then write a picture of each and one table of all."""
    with database() as shared, users_api(shared) as system:
        bench = Bench(system, shared)
        shared.reset(TABLES[0])
        bench.cost(NAMED["get one"], TABLES[0])
        tables = _by_table(bench)
        shared.reset(TABLES[1])
        connections = _by_connections(bench)
        bodies = _by_body(bench)
        memory = _by_uptime(bench)
    for name, label, rows in (
        ("table", "users", tables),
        ("connections", "connections", connections),
        ("body", "bytes of body", bodies),
    ):
        _draw(name, label, rows)
    _draw_memory(memory)
    _write({"users": tables, "connections": connections, "bytes of body": bodies}, memory)


def _by_table(bench: Bench) -> list[Row]:
    rows: list[Row] = []
    stored = 0
    bench.database.reset(0)
    for users in TABLES:
        bench.database.run("DELETE FROM users WHERE id > %s", stored)
        bench.database.run("ALTER TABLE users ALTER COLUMN id RESTART WITH " + str(stored + 1))
        bench.database.fill(stored + 1, users)
        stored = users
        last_page = Operation("last page", "GET", f"/users?limit=100&after={users - 100}")
        operations = (*(NAMED[name] for name in ("get one", "list 100", "filter by email", "PUT", "POST")), last_page)
        rows += [(operation.name, users, bench.cost(operation, users)) for operation in operations]
    return rows


def _by_connections(bench: Bench) -> list[Row]:
    return [
        (name, connections, bench.cost(NAMED[name], TABLES[1], connections=connections))
        for name in ("ping", "get one", "list 100", "PUT")
        for connections in CONNECTIONS
    ]


def _by_body(bench: Bench) -> list[Row]:
    return [
        (name, len(NAMED[name].body) + padding, bench.cost(NAMED[name]._replace(padding=padding), TABLES[1]))
        for name in ("POST", "refused POST")
        for padding in BODIES
    ]


def _by_uptime(bench: Bench) -> list[tuple[float, list[float]]]:
    """Return the megabytes that each worker keeps, after so many requests of all kinds."""
    workers = psutil.Process(bench.system.pid).children()
    memory, requests = [], 0.0
    while requests < REQUESTS:
        for name in MIX:
            requests += bench.cost(NAMED[name], TABLES[1]).requests
        memory.append((requests, [worker.memory_info().rss / MEGABYTE for worker in workers]))
    return memory


def _draw(name: str, label: str, rows: list[Row]) -> None:
    """Draw CPU time, rate and p99; the scale across is logarithmic."""
    figures: dict[str, Callable[[Cost], float]] = {
        "server's CPU ms per request": lambda cost: cost.cpu,
        "database's CPU ms per request": lambda cost: cost.database,
        "requests per second": lambda cost: cost.rate,
        "p99 ms": lambda cost: cost.p99,
    }
    figure, axes = plt.subplots(1, len(figures), figsize=(13, 3))
    for axis, (title, value) in zip(axes, figures.items(), strict=True):
        for operation in dict.fromkeys(row[0] for row in rows):
            points = [(size, value(cost)) for one, size, cost in rows if one == operation]
            axis.plot(*zip(*points, strict=True), marker="o", markersize=3, label=operation)
        axis.set(title=title, xlabel=label, xscale="log", ylim=(0, None))
    axes[0].legend(fontsize=7)
    figure.tight_layout()
    save(figure, f"growth-{name}")


def _draw_memory(memory: list[tuple[float, list[float]]]) -> None:
    figure, axis = plt.subplots(figsize=(6, 3))
    requests = [point[0] for point in memory]
    for number, worker in enumerate(zip(*(point[1] for point in memory), strict=True), 1):
        axis.plot(requests, worker, marker="o", markersize=3, label=f"worker {number}")
    axis.set(title="resident MB of each worker", xlabel="requests answered by all", ylim=(0, None))
    axis.legend(fontsize=7)
    save(figure, "growth-memory")


def _write(tables: dict[str, list[Row]], memory: list[tuple[float, list[float]]]) -> None:
    parts = ["# What a request costs as things grow\n"]
    for label, rows in tables.items():
        head = ("operation", label, "CPU ms", "DB CPU ms", "req/s", "p50 ms", "p99 ms")
        cells = [
            (
                name,
                f"{size:.0f}",
                f"{cost.cpu:.3f}",
                f"{cost.database:.3f}",
                f"{cost.rate:.0f}",
                f"{cost.p50:.1f}",
                f"{cost.p99:.1f}",
            )
            for name, size, cost in rows
        ]
        parts.append(markdown([head, *cells]))
    workers = ("requests", *(f"worker {number}, MB" for number in range(1, len(memory[0][1]) + 1)))
    parts.append(markdown([workers, *((f"{requests:.0f}", *(f"{size:.1f}" for size in sizes)) for requests, sizes in memory)]))
    (RESULTS / "growth.md").write_text("\n".join(parts))
