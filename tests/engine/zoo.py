"""Handlers that Connexion's automatic resolvers find by path and method."""

from typing import Any

from flask.views import MethodView


class PetsView:
    """A view with a method for each operation."""

    def __init__(self, names: tuple[str, ...] = ("Fido", "Tibs")) -> None:
        """Store the pets."""
        self.names = names

    def search(self, limit: int = 2) -> Any:
        """Return the names."""
        return list(self.names[:limit])

    def post(self, body: dict[str, Any]) -> Any:
        """Return the body."""
        return body, 201

    def get(self, pet: int) -> Any:
        """Return one name."""
        return {"name": self.names[pet]}


pets = PetsView()


class KeepersView(MethodView):
    """A Flask view, which dispatches on the request's method."""

    def __init__(self, names: tuple[str, ...]) -> None:
        """Store the keepers."""
        self.names = names

    def get(self, keeper: int | None = None, limit: int = 9) -> Any:
        """Return one name, or all."""
        return list(self.names[:limit]) if keeper is None else {"name": self.names[keeper]}

    def post(self, body: dict[str, Any]) -> Any:
        """Return the body."""
        return body, 201
