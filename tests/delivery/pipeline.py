"""GitLab's rules, evaluated as its documentation says: as much of its language as our pipeline speaks, and no more."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

COMPARISON = re.compile(r'\$(?P<variable>\w+)(?: (?P<operator>==|!=) (?:\$(?P<other>\w+)|"(?P<text>[^"]*)"))?')


def jobs_in(pipeline: Mapping[str, Any], variables: Mapping[str, str]) -> list[str]:
    """Return the names of the jobs that run with these variables, in the order of the file; none: no pipeline."""
    if not applies(pipeline["workflow"]["rules"], variables):
        return []
    return [name for name, job in jobs(pipeline) if "rules" not in job or applies(job["rules"], variables)]


def jobs(pipeline: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each job, with what it extends."""
    for name, job in pipeline.items():
        if isinstance(job, dict) and "script" in job:
            yield name, extended(pipeline, job)


def extended(pipeline: Mapping[str, Any], job: dict[str, Any]) -> dict[str, Any]:
    """Return the job with what it extends, and what that extends."""
    return {**extended(pipeline, pipeline[job["extends"]]), **job} if "extends" in job else job


def applies(rules: list[dict[str, str]], variables: Mapping[str, str]) -> bool:
    """Return whether the first rule whose condition holds lets the job in."""
    for rule in rules:
        assert set(rule) <= {"if", "when"}, rule
        if "if" not in rule or holds(rule["if"], variables):
            return rule.get("when") != "never"
    return False


def holds(condition: str, variables: Mapping[str, str]) -> bool:
    """Return whether a condition holds: comparisons, all of which must, since we use no `||`."""
    return all(comparison_holds(comparison.strip(), variables) for comparison in condition.split("&&"))


def comparison_holds(comparison: str, variables: Mapping[str, str]) -> bool:
    """Return whether a comparison holds; a variable alone holds when it is set and not empty."""
    parts = COMPARISON.fullmatch(comparison)
    assert parts, comparison
    value = variables.get(parts["variable"], "")
    if parts["operator"] is None:
        return bool(value)
    other = variables.get(parts["other"], "") if parts["other"] else parts["text"]
    return (value == other) == (parts["operator"] == "==")
