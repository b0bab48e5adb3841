"""Evaluates GitLab's rules as documented, limited to the syntax that the pipeline uses."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

COMPARISON = re.compile(
    r'\$(?P<variable>\w+)(?: (?P<operator>==|!=) (?:\$(?P<other>\w+)|"(?P<text>[^"]*)"))?'
)


def jobs_in(pipeline: Mapping[str, Any], variables: Mapping[str, str]) -> list[str]:
    """Return the names of the jobs that run with these variables, in order; empty without a pipeline."""
    if not applies(pipeline["workflow"]["rules"], variables):
        return []
    return [name for name, job in jobs(pipeline) if "rules" not in job or applies(job["rules"], variables)]


def jobs(pipeline: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each job, merged with the jobs it extends."""
    for name, job in pipeline.items():
        if isinstance(job, dict) and "script" in job:
            yield name, extended(pipeline, job)


def extended(pipeline: Mapping[str, Any], job: dict[str, Any]) -> dict[str, Any]:
    """Return the job, merged with the jobs it extends."""
    return {**extended(pipeline, pipeline[job["extends"]]), **job} if "extends" in job else job


def applies(rules: list[dict[str, str]], variables: Mapping[str, str]) -> bool:
    """Return whether the first matching rule includes the job."""
    for rule in rules:
        assert set(rule) <= {"if", "when"}, rule
        if "if" not in rule or holds(rule["if"], variables):
            return rule.get("when") != "never"
    return False


def holds(condition: str, variables: Mapping[str, str]) -> bool:
    """Return whether all comparisons of a condition hold; `||` is not supported."""
    return all(comparison_holds(comparison.strip(), variables) for comparison in condition.split("&&"))


def comparison_holds(comparison: str, variables: Mapping[str, str]) -> bool:
    """Return whether a comparison holds; a lone variable holds if it is not empty."""
    parts = COMPARISON.fullmatch(comparison)
    assert parts, comparison
    value = variables.get(parts["variable"], "")
    if parts["operator"] is None:
        return bool(value)
    other = variables.get(parts["other"], "") if parts["other"] else parts["text"]
    return (value == other) == (parts["operator"] == "==")
