"""The commands of the benchmarks; each has a make target."""

import sys

import click

from bench import access, compare, dashboard, growth, observability, overhead, report, transfer


@click.group()
def main() -> None:
    """Measure the performance of this service."""


@main.command("compare")
@click.option("--quick", is_flag=True, help="One round with only the tutorial, without writing files.")
def compare_command(*, quick: bool) -> None:
    """Compare this service with its peers, and write the table, the picture and docs/performance.md."""
    plan = compare.QUICK if quick else compare.Plan()
    costs = compare.compare(plan)
    print(report.text(costs))
    if plan == compare.Plan():
        report.publish(costs)
    print("\n".join(compare.misses(costs)) or "All goals are met.")


@main.command("growth")
def growth_command() -> None:
    """Measure and draw how the cost of a request grows with table, connections, bodies and uptime."""
    growth.measure()


@main.command("access")
def access_command() -> None:
    """Compare this service with and without access tokens, and write docs/performance.md."""
    _publish_overhead("access", access.compare(), access.NONE, access.goals())


@main.command("observability")
def observability_command() -> None:
    """Compare this service with and without logs, metrics and traces, and write docs/performance.md."""
    _publish_overhead("observability", observability.compare(), observability.OFF, observability.goals())


def _publish_overhead(section: str, costs: overhead.Costs, baseline: str, goals: dict[str, float]) -> None:
    overhead.publish(section, costs, baseline, goals)
    print("\n".join(overhead.misses(costs, baseline, goals)) or "All goals are met.")


@main.command("guard")
def guard_command() -> None:
    """Fail if a request's CPU time relative to the tutorial exceeds its goal by more than 20 %."""
    costs = compare.compare(compare.GUARD)
    print(report.text(costs))
    sys.exit("\n".join(compare.losses(costs, tolerance=1.2)) or None)


@main.command("transfer")
@click.option("--users", default=1_000_000, show_default=True, help="Export and import this many users.")
@click.option("--quick", is_flag=True, help="Do not write docs/performance.md.")
def transfer_command(*, users: int, quick: bool) -> None:
    """Export and import users as CSV and JSON Lines, and write docs/performance.md."""
    rounds = transfer.measure(users)
    print(report.markdown(transfer.rows(rounds)))
    if not quick:
        transfer.publish(rounds)
    sys.exit("\n".join(transfer.misses(rounds)) or None)


@main.command("dashboard")
def dashboard_command() -> None:
    """Draw the dashboard from the metrics of this service under load, and write docs/dashboard.svg."""
    dashboard.draw()


main()
