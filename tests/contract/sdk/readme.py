"""The examples in README's section "Use"."""

import re
from pathlib import Path

README = Path(__file__).parents[3] / "README.md"


def example(language: str, url: str) -> str:
    """Return the section's example in this language, with this address of the service for README's."""
    section = README.read_text().partition("\n## Use\n")[2].partition("\n## ")[0]
    [lines] = re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)
    address = "http://127.0.0.1:5000"
    assert lines.count(address) == 1
    return lines.replace(address, url)
