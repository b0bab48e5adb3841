"""Checks that raise or hang, and those that depend on them."""

from collections.abc import Iterator
from threading import Event

import pytest

from users_api.checks.findings import Finding, Result, ok, problem, warning
from users_api.checks.running import Check, Group, run


def fail() -> list[Finding]:
    message = "line one\nline two"
    raise RuntimeError(message)


def interrupt() -> Iterator[Finding]:
    yield ok("first")
    raise TimeoutError


def found(results: list[Result]) -> list[tuple[str, str, str]]:
    return [(each.check, each.finding.state.value, each.finding.text) for each in results]


def test_results_are_in_the_order_of_the_groups() -> None:
    groups = [
        Group("first", [Check("a", lambda: [ok("1"), warning("2", "do")])]),
        Group("second", [Check("b", lambda: [ok("3")])]),
    ]

    assert run(groups).results == [
        Result("first", "a", ok("1")),
        Result("first", "a", warning("2", "do")),
        Result("second", "b", ok("3")),
    ]


def test_an_exception_is_a_problem_and_prevents_only_what_depends_on_it() -> None:
    checks = [
        Check("a", fail, advice="Repair it."),
        Check("b", lambda: [ok("not called")], after="a"),
        Check("c", lambda: [ok("not called")], after="b"),
        Check("d", interrupt),
        Check("e", lambda: [ok("called")]),
    ]

    results = run([Group("group", checks)]).results

    assert found(results) == [
        ("a", "problem", "line one line two"),
        ("b", "not_checked", "needs the check `a`"),
        ("c", "not_checked", "needs the check `b`"),
        ("d", "problem", "no answer in time"),
        ("e", "ok", "called"),
    ]
    assert results[0].finding.advice == "Repair it."


def test_a_problem_of_several_findings_prevents_what_depends_on_it() -> None:
    checks = [
        Check("a", lambda: [problem("1"), ok("2")]),
        Check("b", lambda: [ok("not called")], after="a"),
    ]

    assert found(run([Group("group", checks)]).results)[-1] == ("b", "not_checked", "needs the check `a`")


def test_a_check_that_hangs_is_left_behind() -> None:
    released = Event()
    checks = [
        Check("a", lambda: [ok("done")] if released.wait() else [], advice="Repair it.", seconds=0.1),
        Check("b", lambda: [ok("unreachable")]),
    ]
    others = [Check("c", lambda: [ok("called")])]

    results, hangs = run([Group("group", checks), Group("other", others)])
    released.set()

    assert hangs is True
    assert found(results) == [
        ("a", "problem", "no result within 0.1 s"),
        ("b", "not_checked", "the check `a` hangs"),
        ("c", "ok", "called"),
    ]


@pytest.mark.parametrize("closing", [fail, lambda: None])
def test_a_group_is_closed_after_its_last_check(closing) -> None:
    events, closed = [], Event()

    def close() -> None:
        events.append("closed")
        closed.set()
        closing()

    def find() -> list[Finding]:
        events.append("checked")
        return []

    assert run([Group("group", [Check("a", find)], close)]) == ([], False)
    closed.wait()

    assert events == ["checked", "closed"]
