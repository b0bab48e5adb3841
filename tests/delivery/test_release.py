"""`scripts/release` with a real registry and a fake platform: it releases the image, or prints why not."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.delivery.engine import Container, container, docker
from tests.delivery.platform_api import OUTPUT, PlatformAPI, platform_api
from tests.support.waiting import until

TOKEN = "token-of-the-rehearsal"  # noqa: S105 -- not a secret.
# Images whose tag has moved, for example after an interrupted run, are named by their digest.
NAME = '{{.Repository}}{{if eq .Tag "<none>"}}@{{.Digest}}{{else}}:{{.Tag}}{{end}}'
Release = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def registry(engine: None) -> Iterator[Container]:
    """A registry that requires the token."""
    docker(
        "build", "--quiet", "--tag", "users-api-rehearsal-registry", str(Path(__file__).with_name("registry"))
    )
    with container("users-api-rehearsal-registry") as running:
        until(lambda: answers(running))
        yield running
        pushed = f"reference=127.0.0.1:{running.port}/*/*"
        docker(
            "image",
            "rm",
            *docker("image", "ls", "--digests", "--filter", pushed, "--format", NAME).stdout.split(),
        )


def answers(registry: Container) -> bool:
    try:
        return httpx.get(f"{registry.url}/v2/", auth=("_", TOKEN)).is_success
    except httpx.TransportError:
        return False


@pytest.fixture
def platform() -> Iterator[PlatformAPI]:
    """The platform, with an app named `directory`."""
    with platform_api(TOKEN) as running:
        yield running


@pytest.fixture
def release(image: str, registry: Container, platform: PlatformAPI, root: Path, spy: Path) -> Release:
    """Runs the script."""

    def release(image: str = image, **differences: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "HEROKU_API_KEY": TOKEN,
            "HEROKU_API_URL": platform.url,
            "HEROKU_APP": "directory",
            "HEROKU_REGISTRY": f"127.0.0.1:{registry.port}",
            "PATH": f"{spy}:{os.environ['PATH']}",
            "POLL_SECONDS": "0.05",
        }
        command = [root / "scripts" / "release", image]
        return subprocess.run(
            command, env=os.environ | environment | differences, capture_output=True, text=True, check=False
        )

    return release


@pytest.fixture
def spy(tmp_path: Path) -> Path:
    """A directory with a `docker` that logs its arguments and calls the real one."""
    real = subprocess.run(["which", "docker"], check=True, capture_output=True, text=True).stdout.strip()
    script = tmp_path / "docker"
    script.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/arguments\nexec {real} "$@"\n')
    script.chmod(0o755)
    return tmp_path


def test_the_tested_images_are_released(
    release: Release, platform: PlatformAPI, registry: Container, image: str, spy: Path
) -> None:
    done = release()

    assert done.returncode == 0, done.stderr
    assert done.stdout == "APP_URL=https://directory-0123456789ab.herokuapp.com/\n"
    assert done.stderr == f"Release v42 of {image} runs on directory.\n"
    (formation,) = platform.formations
    assert [update["type"] for update in formation["updates"]] == ["web", "release"]
    assert [released(registry, **update) for update in formation["updates"]] == [
        (["users-api", "serve"], layers(image)),
        (["users-api", "db", "upgrade"], layers(f"{image}-release")),
    ]
    assert TOKEN not in (spy / "arguments").read_text()


def released(registry: Container, type: str, docker_image: str) -> tuple[list[str], list[str]]:  # noqa: A002 -- the name in the platform's API.
    """Return the command and the layers of the image with this id in the registry."""
    blob = (
        httpx.get(f"{registry.url}/v2/directory/{type}/blobs/{docker_image}", auth=("_", TOKEN))
        .raise_for_status()
        .json()
    )
    return blob["config"]["Cmd"], blob["rootfs"]["diff_ids"]


def layers(image: str) -> list[str]:
    return json.loads(docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", image).stdout)


@pytest.mark.parametrize("outcome", ["failed", "expired"])
def test_a_release_phase_that_fails_fails_the_release(
    release: Release, platform: PlatformAPI, outcome: str
) -> None:
    platform.outcome = outcome

    done = release()

    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr
        == f"release: the release phase of v42 {outcome}; the app keeps its previous release\n{OUTPUT}"
    )


def test_a_temporarily_unavailable_platform_is_retried(release: Release, platform: PlatformAPI) -> None:
    platform.away_for = 3

    done = release()

    assert (done.returncode, done.stdout) == (0, "APP_URL=https://directory-0123456789ab.herokuapp.com/\n")


def test_rejected_images_fail_the_release(release: Release, platform: PlatformAPI) -> None:
    platform.accepts = False

    done = release()

    assert (done.returncode, done.stdout) == (1, "")
    assert "/apps/directory/formation: 422 " in done.stderr
    assert "No such image." in done.stderr


def test_a_release_phase_that_times_out_fails_the_release(release: Release, platform: PlatformAPI) -> None:
    platform.polls_until_then = 10**9

    done = release(RELEASE_SECONDS="1")

    assert (done.returncode, done.stderr) == (1, "release: the release phase did not finish within 1 s\n")


@pytest.mark.parametrize(
    ("differences", "words"),
    [
        ({"HEROKU_APP": ""}, "release: set HEROKU_APP"),
        ({"HEROKU_API_KEY": ""}, "release: set HEROKU_API_KEY"),
        ({"HEROKU_API_KEY": "another"}, "release: docker login: "),
        ({"HEROKU_APP": "unknown"}, "/apps/unknown/releases: 404 "),
        ({"HEROKU_API_URL": "http://127.0.0.1:9"}, "release: 127.0.0.1:9 cannot be reached: "),
        ({"image": "users-api-rehearsal-that-nobody-built"}, "release: docker pull: "),
    ],
)
def test_an_error_is_one_line(
    release: Release, platform: PlatformAPI, spy: Path, differences: dict[str, str], words: str
) -> None:
    done = release(**differences)

    assert (done.returncode, done.stdout, platform.formations) == (1, "", [])
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    arguments = (spy / "arguments").read_text() if (spy / "arguments").exists() else ""
    assert TOKEN not in done.stderr + arguments
    assert arguments.count("logout") == ("docker pull" in words or "apps" in words or "reached" in words)


def test_a_token_in_the_platform_s_error_is_not_logged(release: Release, platform: PlatformAPI) -> None:
    platform.token = "revoked"  # noqa: S105 -- the token that the platform expects, not the script's.

    done = release()

    assert done.returncode == 1
    assert "401" in done.stderr
    assert "No app for Bearer …" in done.stderr
    assert TOKEN not in done.stderr


def test_an_image_index_is_rejected(
    release: Release, registry: Container, platform: PlatformAPI, spy: Path
) -> None:
    (spy / "docker").write_text("#!/bin/sh\n")
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []}
    path = f"{registry.url}/v2/directory/web/manifests/latest"
    httpx.put(
        path, json=index, headers={"Content-Type": index["mediaType"]}, auth=("_", TOKEN)
    ).raise_for_status()

    done = release()

    assert (done.returncode, platform.formations) == (1, [])
    assert done.stderr.endswith(
        "/directory/web is an image index; build it without attestations, as `make image` does\n"
    )
