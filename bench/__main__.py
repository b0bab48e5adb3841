"""The benchmarks' commands; `make` has a verb for each."""

import sys

import click

from bench import compare, growth, report


@click.group()
def main() -> None:
    """Measure how fast this service is."""


@main.command("compare")
@click.option("--quick", is_flag=True, help="One round with the tutorial alone; nothing is written.")
def compare_command(*, quick: bool) -> None:
    """Measure this service beside its peers, and write table, picture and README's section."""
    plan = compare.QUICK if quick else compare.Plan()
    costs = compare.compare(plan)
    print(report.text(costs))
    if plan == compare.Plan():
        report.publish(costs)
    print("\n".join(compare.misses(costs)) or "Every goal is reached.")


@main.command("growth")
def growth_command() -> None:
    """Measure what a request costs as table, connections, bodies and uptime grow, and draw it."""
    growth.measure()


@main.command("guard")
def guard_command() -> None:
    """Fail where a request costs a fifth more than its goal, as a part of what it costs the tutorial."""
    costs = compare.compare(compare.GUARD)
    print(report.text(costs))
    sys.exit("\n".join(compare.losses(costs, tolerance=1.2)) or None)


main()
