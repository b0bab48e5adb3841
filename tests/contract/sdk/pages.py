"""The examples of both clients in README's section "Use", and those that log in, in SECURITY.md."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[3]
ADDRESS = "http://127.0.0.1:5000"


class Section(NamedTuple):
    """A section of a page."""

    page: str
    title: str


USE = Section("README.md", "Use")
LOG_IN = Section("SECURITY.md", "Access tokens")


def example(section: Section, language: str, url: str = ADDRESS) -> str:
    """Return the section's example in this language, with this address of the service for the page's."""
    text = (ROOT / section.page).read_text().partition(f"\n## {section.title}\n")[2].partition("\n## ")[0]
    [lines] = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert lines.count(ADDRESS) == 1
    return lines.replace(ADDRESS, url)
