"""What tests read from the command's JSON, and the database that they check."""

from contextlib import closing
from typing import Any, NamedTuple

import psycopg2

from users_api.app import MIGRATIONS
from users_api.database import newest_migration

NEWEST = newest_migration(str(MIGRATIONS))


class Outcome:
    """The findings of one run."""

    def __init__(self, report: dict[str, Any]) -> None:
        self.report = report

    def __getitem__(self, place: str) -> list[tuple[str, str]]:
        """Return the states and texts of a check, like `database.migration`."""
        return [(each["state"], each["text"]) for each in self._of(place)]

    def advice(self, place: str) -> list[str]:
        """Return what to do about a check."""
        return [each["advice"] for each in self._of(place)]

    def states(self, group: str) -> dict[str, str]:
        """Return the last state of each check of a group."""
        return {each["check"]: each["state"] for each in self.report["results"] if each["group"] == group}

    def _of(self, place: str) -> list[dict[str, Any]]:
        found = [each for each in self.report["results"] if f"{each['group']}.{each['check']}" == place]
        assert found, place
        return found


class Deployment(NamedTuple):
    """A database: the URL of its owner, that of the service, and the name of the service's role."""

    owner: str
    url: str
    role: str

    def run(self, statements: str) -> None:
        """Run statements as the owner, each by itself."""
        with closing(psycopg2.connect(self.owner)) as connection:
            connection.autocommit = True
            for statement in filter(str.strip, statements.split(";")):
                connection.cursor().execute(statement)
