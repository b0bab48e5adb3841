"""How the cost of a request grows with table, connections, bodies and uptime."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Final, NamedTuple

import psutil

from bench.charts import RESULTS, Row, draw_growth, draw_memory
from bench.compare import FailuresError
from bench.load import NAMED, Cost, Operation, Target, median, run, settle
from bench.report import machine, markdown
from bench.systems import Database, System, database, users_api

TABLES: Final = (1_000, 10_000, 100_000, 1_000_000)
PAGED: Final = (
    *(NAMED[name] for name in ("get one", "list 100", "filter by email", "PUT", "POST")),
    Operation("last page", "GET", "/users?limit=100&after={last}"),
    Operation("search all", "GET", "/users?limit=100&q=user"),
    Operation("search few", "GET", "/users?limit=100&q=user-{last}"),
    Operation("search none", "GET", "/users?limit=100&q=unknown"),
    Operation("newest", "GET", "/users?limit=100&order=-created_date"),
)
USERS: Final = 10_000
CONNECTIONS: Final = (1, 4, 16, 64, 256)
BODIES: Final = (0, 1_000, 10_000, 100_000, 1_000_000)
REQUESTS: Final = 100_000
MIX: Final = ("get one", "list 100", "filter by email", "PUT", "PATCH", "POST", "refused POST")
RUNS: Final = 3
MOST_GROWTH: Final = (
    1.2  # growth of a request's CPU time on server and database, from the smallest to the largest table
)
MOST_MEGABYTES: Final = 120
MOST_LEAK: Final = 1.02
MOST_SECONDS: Final = 2
MEGABYTE: Final = 1_000_000


class Bench(NamedTuple):
    """This service with its database."""

    system: System
    database: Database

    def cost(self, operation: Operation, users: int) -> Cost:
        """Measure the operation once with this number of users.

        Raises:
            FailuresError: a response was unexpected.
        """
        target = Target(self.system.url, (self.system.pid, self.database.server.process.pid), users)
        settle(target.processes)
        self.database.run("DELETE FROM users WHERE id > %s", users)
        found = run(operation, target, seconds=1)
        print(
            f"{operation.name:16} {users:8} users "
            f"{operation.connections:4} connections {found.cpu:7.3f} ms CPU",
            flush=True,
        )
        if found.failures:
            raise FailuresError(operation.name, found)
        return found


def measure() -> None:
    """Measure everything, write the charts and the table, and print the missed goals."""
    with database() as shared:
        tables = _by_table(shared)
        with users_api(shared) as system:
            shared.reset(USERS)
            connections = _by_connections(Bench(system, shared))
            bodies = _by_body(Bench(system, shared))
        with users_api(shared) as system:
            memory = _by_uptime(Bench(system, shared))
        start = min(_start(shared) for _ in range(RUNS))
    for name, label, rows in (
        ("table", "users", tables),
        ("connections", "connections", connections),
        ("body", "bytes of body", bodies),
    ):
        draw_growth(name, label, rows)
    draw_memory(memory)
    _write({"users": tables, "connections": connections, "bytes of body": bodies}, memory, start)
    print("\n".join(_misses(tables, memory, start)) or "All goals are met.")


def _by_table(shared: Database) -> list[Row]:
    """Measure all table sizes in turn, each with its own service, so that noise affects all of them."""
    with ExitStack() as stack:
        benches = {}
        for users in TABLES:
            own = Database(shared.server, shared.server.create(f"users_{users}"))
            benches[users] = Bench(stack.enter_context(users_api(own)), own)
            own.reset(users)
        return _in_turn(
            [
                (_paged(operation, users), users, bench)
                for operation in PAGED
                for users, bench in benches.items()
            ]
        )


def _paged(operation: Operation, users: int) -> Operation:
    return operation._replace(path=operation.path.replace("{last}", str(users - 100)))


def _by_connections(bench: Bench) -> list[Row]:
    operations = [NAMED[name] for name in ("ping", "get one", "list 100", "PUT")]
    crowds = [operation._replace(connections=number) for operation in operations for number in CONNECTIONS]
    return [(crowd.name, crowd.connections, cost) for crowd, (_, _, cost) in _each(crowds, bench)]


def _by_body(bench: Bench) -> list[Row]:
    operations = [
        NAMED[name]._replace(padding=padding) for name in ("POST", "refused POST") for padding in BODIES
    ]
    return [
        (padded.name, len(padded.body) + padded.padding, cost)
        for padded, (_, _, cost) in _each(operations, bench)
    ]


def _each(operations: Sequence[Operation], bench: Bench) -> Iterator[tuple[Operation, Row]]:
    return zip(operations, _in_turn([(operation, USERS, bench) for operation in operations]), strict=True)


def _in_turn(cases: Sequence[tuple[Operation, int, Bench]]) -> list[Row]:
    """Return the median cost of each case over several rounds."""
    rounds = [[bench.cost(operation, users) for operation, users, bench in cases] for _ in range(RUNS)]
    return [
        (operation.name, users, median(costs))
        for (operation, users, _), *costs in zip(cases, *rounds, strict=True)
    ]


def _by_uptime(bench: Bench) -> list[tuple[float, list[float]]]:
    """Return the resident megabytes of each worker at increasing numbers of mixed requests."""
    workers = psutil.Process(bench.system.pid).children()
    memory: list[tuple[float, list[float]]] = []
    requests, first = 0.0, 0.0
    while requests < first + REQUESTS:
        for name in MIX:
            requests += bench.cost(NAMED[name], USERS).requests
        first = first or requests
        memory.append((requests, [worker.memory_info().rss / MEGABYTE for worker in workers]))
    return memory


def _start(shared: Database) -> float:
    """Return the seconds from starting the command to the first response."""
    with users_api(shared) as system:
        return system.start_seconds


def _misses(tables: list[Row], memory: list[tuple[float, list[float]]], start: float) -> list[str]:
    """Return a line for each missed goal."""
    costs = {(name, size): cost.cpu + cost.database for name, size, cost in tables}
    growth = {name: costs[name, TABLES[-1]] / costs[name, TABLES[0]] for name, _ in costs}
    (_, first), (_, last) = memory[0], memory[-1]
    return [
        *(
            f"{name} costs {found:.2f} times as much with {TABLES[-1]:,} users"
            for name, found in growth.items()
            if found > MOST_GROWTH
        ),
        *(f"a worker uses {size:.0f} MB" for size in last if size > MOST_MEGABYTES),
        *(
            f"a worker grows from {old:.1f} to {new:.1f} MB"
            for old, new in zip(first, last, strict=True)
            if new > old * MOST_LEAK
        ),
        *([f"startup takes {start:.1f} seconds"] if start > MOST_SECONDS else []),
    ]


def _write(tables: dict[str, list[Row]], memory: list[tuple[float, list[float]]], start: float) -> None:
    parts = [
        (
            f"# How the cost of a request grows\n\n{machine()}\n"
            f"From start to the first response: {start:.1f} s.\n"
        )
    ]
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
    parts.append(
        markdown(
            [
                workers,
                *((f"{requests:.0f}", *(f"{size:.1f}" for size in sizes)) for requests, sizes in memory),
            ]
        )
    )
    (RESULTS / "growth.md").write_text("\n".join(parts))
