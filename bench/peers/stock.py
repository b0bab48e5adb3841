"""Stock Connexion: FlaskApp with this service's document, default settings and Flask-SQLAlchemy's session."""

import os
from datetime import UTC
from pathlib import Path
from typing import Any

import yaml
from connexion import FlaskApp, request
from connexion.resolver import RelativeResolver
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import exc, func
from sqlalchemy.orm import Mapped, mapped_column

DOCUMENT = Path(__file__).parents[2] / "openapi" / "users.yaml"
PATHS = ("/ping", "/users", "/users/{user_id}")
DUPLICATE = {"status": "fail", "message": "Sorry. That email already exists."}, 400
MISSING = {"status": "fail", "message": "User does not exist"}, 404

document = yaml.safe_load(DOCUMENT.read_text())
document["paths"] = {path: document["paths"][path] for path in PATHS}

app = FlaskApp(__name__)
app.app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"].replace(
    "postgresql:", "postgresql+psycopg2:"
)
db = SQLAlchemy(app.app)
app.add_api(document, resolver=RelativeResolver(__name__))


class User(db.Model):  # type: ignore[name-defined]
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(db.String(128))
    email: Mapped[str] = mapped_column(db.String(128))
    active: Mapped[bool] = mapped_column(default=True)
    created_date: Mapped[Any] = mapped_column(db.DateTime(timezone=True), default=func.now())
    version: Mapped[int] = mapped_column(default=1)

    @property
    def etag(self) -> str:
        return f'"{self.id}-{self.version}"'

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "username": self.username,
            "email": self.email,
            "active": self.active,
            "created_date": f"{self.created_date.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
        }


def answer(user: User, message: str, status: int = 200, **headers: str) -> Any:
    return (
        {"status": "success", "message": message, "data": user.to_json()},
        status,
        headers | {"ETag": user.etag},
    )


def ping() -> Any:
    return {"status": "success", "message": "pong"}


def list_users(limit: int, after: int, email: str | None = None) -> Any:
    query = User.query.filter(User.id > after)
    if email:
        query = query.filter(func.lower(User.email) == email.lower())
    users = query.order_by(User.id).limit(limit + 1).all()
    link = f"/users?limit={limit}&after={users[limit - 1].id}" if len(users) > limit else None
    body = {
        "status": "success",
        "data": {"users": [user.to_json() for user in users[:limit]], "next": link, "prev": None},
    }
    return body, 200, {"Link": f'<{link}>; rel="next"'} if link else {}


def create_user(body: dict[str, Any]) -> Any:
    user = User(**body)
    db.session.add(user)
    try:
        db.session.commit()
    except exc.IntegrityError:
        db.session.rollback()
        return DUPLICATE
    return answer(user, f"{user.email} was added!", 201, Location=f"/users/{user.id}")


def get_user(user_id: int) -> Any:
    user = db.session.get(User, user_id)
    if not user:
        return MISSING
    if user.etag in request.headers.get("If-None-Match", ""):
        return None, 304, {"ETag": user.etag}
    return {"status": "success", "data": user.to_json()}, 200, {"ETag": user.etag}


def update_user(user_id: int, body: dict[str, Any]) -> Any:
    user = db.session.get(User, user_id)
    if not user:
        return MISSING
    for name, value in body.items():
        setattr(user, name, value)
    user.version += 1
    try:
        db.session.commit()
    except exc.IntegrityError:
        db.session.rollback()
        return DUPLICATE
    return answer(user, f"{user.id} was updated!")


patch_user = update_user


def delete_user(user_id: int) -> Any:
    user = db.session.get(User, user_id)
    if not user:
        return MISSING
    email = user.email
    db.session.delete(user)
    db.session.commit()
    return {"status": "success", "message": f"{email} was removed!"}
