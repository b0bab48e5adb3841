"""The limit of open files is raised as far as the system allows."""

import subprocess
import sys
from pathlib import Path

import pytest

import users_api

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
