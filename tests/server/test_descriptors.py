"""The limit of open files is raised as far as the system allows."""

import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import users_api
from users_api.server.descriptors import TooFewDescriptors, allow_descriptors

PROGRAM = """
import resource
from users_api.server.descriptors import TooFewDescriptors, allow_descriptors
resource.setrlimit(resource.RLIMIT_NOFILE, (200, 400))
try:
    allow_descriptors({needed})
except TooFewDescriptors as error:
    print(error.limit, error)
print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_a_system_with_another_limit_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise ValueError

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refuse)

    with pytest.raises(TooFewDescriptors) as caught:
        allow_descriptors(1000)

    assert caught.value.limit == 256


@pytest.mark.parametrize(
    ("needed", "printed"),
    [
        (100, "(200, 400)"),
        (200, "(200, 400)"),
        (400, "(400, 400)"),
        (401, "400 401 open files are needed, but the system allows 400\n(200, 400)"),
    ],
)
def test_the_limit_of_open_files_is_raised(needed: int, printed: str) -> None:
    command = [sys.executable, "-c", PROGRAM.format(needed=needed)]
    root = Path(users_api.__file__).parent.parent

    output = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout

    assert output == f"{printed}\n"
