"""README's examples of use, as they stand there."""

import re
from pathlib import Path

README = Path(__file__).parents[3] / "README.md"


def example(language: str, url: str) -> str:
    """Return the lines of the language in the section "Use it", with this address of the service in place of README's."""
    section = README.read_text().partition("\n## Use it\n")[2].partition("\n## ")[0]
    [lines] = re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)
    address = "http://127.0.0.1:5000"
    assert lines.count(address) == 1
    return lines.replace(address, url)
