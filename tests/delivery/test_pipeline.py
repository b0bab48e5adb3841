"""`.gitlab-ci.yml` and Heroku's files: when each job runs, its commands, and the consistency of the files."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.delivery.pipeline import jobs, jobs_in

ALWAYS = {"CI_DEFAULT_BRANCH": "main", "HEROKU_APP": "directory"}
BRANCH = {"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": "faster"}
TESTS = ["build", "check", "test", "contract", "resilience", "desync", "bench-guard"]


@pytest.fixture(scope="module")
def pipeline(root: Path) -> dict[str, Any]:
    return yaml.safe_load((root / ".gitlab-ci.yml").read_text())


@pytest.fixture(scope="module")
def heroku(root: Path) -> dict[str, Any]:
    return yaml.safe_load((root / "heroku.yml").read_text())


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        pytest.param(BRANCH, TESTS, id="branch"),
        pytest.param(BRANCH | {"CI_OPEN_MERGE_REQUESTS": "users!7"}, [], id="branch of a merge request"),
        pytest.param({"CI_PIPELINE_SOURCE": "merge_request_event"}, TESTS, id="merge request"),
        pytest.param({"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_TAG": "v1.0.0"}, TESTS, id="tag"),
        pytest.param(
            {"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": "main"},
            [*TESTS, "deploy"],
            id="default branch",
        ),
        pytest.param(
            {"CI_COMMIT_BRANCH": "main", "CI_OPEN_MERGE_REQUESTS": "users!8"},
            [*TESTS, "deploy"],
            id="default branch, to be merged",
        ),
        pytest.param(
            {"CI_COMMIT_BRANCH": "main", "HEROKU_APP": ""}, TESTS, id="default branch without an app"
        ),
    ],
)
def test_each_kind_of_pipeline_has_its_jobs(
    pipeline: dict[str, Any], variables: dict[str, str], expected: list[str]
) -> None:
    assert jobs_in(pipeline, ALWAYS | variables) == expected


def test_every_job_calls_documented_make_targets(pipeline: dict[str, Any], root: Path) -> None:
    listed = subprocess.run(["make", "help"], cwd=root, check=True, capture_output=True, text=True).stdout
    verbs = set(re.findall(r"^  make ([a-z-]+)", listed, re.MULTILINE))

    for name, job in jobs(pipeline):
        for line in job["script"]:
            words = re.fullmatch(r"make (?:-C /src )?([a-z -]+)(?: ARGS=.*)?", line)
            assert words, f"{name}: {line}"
            assert verbs.issuperset(words[1].split()), f"{name}: {line}"


def test_deployments_run_one_at_a_time_and_are_never_cancelled(pipeline: dict[str, Any]) -> None:
    deploy = pipeline["deploy"]

    assert (deploy["resource_group"], deploy["interruptible"]) == ("production", False)
    assert deploy["environment"] == {"name": "production", "url": "$APP_URL"}
    assert deploy["artifacts"]["reports"] == {"dotenv": "release.env"}


def test_the_coverage_pattern_matches_the_report(pipeline: dict[str, Any]) -> None:
    pattern = pipeline["test"]["coverage"].strip("/")
    report = (
        "tests/support/service.py   51   0   4   0  100%\n"
        "TOTAL      1067    301    150     29    68%\n8 files skipped\n"
    )

    (found,) = re.finditer(pattern, report, re.MULTILINE)

    assert found[1] == "68%"


def test_the_images_of_the_pipeline_are_pinned(pipeline: dict[str, Any]) -> None:
    images = {
        name_of(image) for _, job in jobs(pipeline) for image in (job["image"], *job.get("services", []))
    }

    assert images == {"docker:29-cli", "docker:29-dind", "postgres:17-alpine", "$IMAGE-test"}


def test_the_deployed_image_is_the_tested_one(pipeline: dict[str, Any]) -> None:
    tests = {name: name_of(job["image"]) for name, job in jobs(pipeline) if job["stage"] == "test"}

    assert tests == dict.fromkeys(TESTS[1:], "$IMAGE-test")


def name_of(image: str | dict[str, Any]) -> str:
    return image if isinstance(image, str) else image["name"]


def test_heroku_runs_the_same_commands_as_the_images(heroku: dict[str, Any], root: Path) -> None:
    commands = re.findall(r"^CMD (.*)$", (root / "Dockerfile").read_text(), re.MULTILINE)

    assert [" ".join(json.loads(command)) for command in commands] == [
        heroku["run"]["web"],
        *heroku["release"]["command"],
    ]


def test_the_button_and_heroku_yml_agree(heroku: dict[str, Any], root: Path) -> None:
    app = json.loads((root / "app.json").read_text())

    values = {name: setting["value"] for name, setting in app["env"].items() if "value" in setting}
    secrets = {name: setting["generator"] for name, setting in app["env"].items() if name not in values}

    assert values == heroku["setup"]["config"]
    assert secrets == {
        "TOKEN_KEYS": "secret"
    }  # 64 hexadecimal digits; a file of the project must not have one.
    assert app["addons"] == heroku["setup"]["addons"]
