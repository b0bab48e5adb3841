"""A typical tutorial: Flask-RESTful, Flask-SQLAlchemy's session, SELECT before INSERT, and sync workers."""

import os
from datetime import UTC
from typing import Any

from flask import Flask, Response, request
from flask_restful import Api, Resource
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import exc, func
from sqlalchemy.orm import Mapped, mapped_column

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"].replace(
    "postgresql:", "postgresql+psycopg2:"
)
db = SQLAlchemy(app)
api = Api(app)

DUPLICATE = {"status": "fail", "message": "Sorry. That email already exists."}, 400
INVALID = {"status": "fail", "message": "Invalid payload."}, 400
MISSING = {"status": "fail", "message": "User does not exist"}, 404


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
        return f"{self.id}-{self.version}"

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "username": self.username,
            "email": self.email,
            "active": self.active,
            "created_date": f"{self.created_date.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
        }


def find_by_email(email: str) -> User | None:
    return User.query.filter(func.lower(User.email) == email.lower()).first()


def answer(
    user: User, message: str, status: int = 200, **headers: str
) -> tuple[dict[str, Any], int, dict[str, str]]:
    return (
        {"status": "success", "message": message, "data": user.to_json()},
        status,
        headers | {"ETag": f'"{user.etag}"'},
    )


class Ping(Resource):
    def get(self) -> Any:
        return {"status": "success", "message": "pong"}


class UsersList(Resource):
    def get(self) -> Any:
        limit, after = request.args.get("limit", 100, int), request.args.get("after", 0, int)
        query = User.query.filter(User.id > after)
        if email := request.args.get("email"):
            query = query.filter(func.lower(User.email) == email.lower())
        users = query.order_by(User.id).limit(limit + 1).all()
        link = f"/users?limit={limit}&after={users[limit - 1].id}" if len(users) > limit else None
        body = {
            "status": "success",
            "data": {"users": [user.to_json() for user in users[:limit]], "next": link, "prev": None},
        }
        return body, 200, {"Link": f'<{link}>; rel="next"'} if link else {}

    def post(self) -> Any:
        data = request.get_json()
        if not data or not data.get("username") or not data.get("email"):
            return INVALID
        if find_by_email(data["email"]):
            return DUPLICATE
        try:
            user = User(username=data["username"], email=data["email"])
            db.session.add(user)
            db.session.commit()
        except exc.IntegrityError:
            db.session.rollback()
            return DUPLICATE
        return answer(user, f"{user.email} was added!", 201, Location=f"/users/{user.id}")


class Users(Resource):
    def get(self, user_id: int) -> Any:
        user = db.session.get(User, user_id)
        if not user:
            return MISSING
        if request.if_none_match.contains_weak(user.etag):
            return Response(status=304, headers={"ETag": f'"{user.etag}"'})
        return {"status": "success", "data": user.to_json()}, 200, {"ETag": f'"{user.etag}"'}

    def put(self, user_id: int) -> Any:
        data = request.get_json()
        if not data or not data.get("username") or not data.get("email"):
            return INVALID
        return self.change(user_id, data)

    def patch(self, user_id: int) -> Any:
        data = request.get_json()
        return self.change(user_id, data) if data else INVALID

    def change(self, user_id: int, data: dict[str, Any]) -> Any:
        user = db.session.get(User, user_id)
        if not user:
            return MISSING
        if "email" in data and (other := find_by_email(data["email"])) and other.id != user_id:
            return DUPLICATE
        for name in ("username", "email", "active"):
            if name in data:
                setattr(user, name, data[name])
        user.version += 1
        try:
            db.session.commit()
        except exc.IntegrityError:
            db.session.rollback()
            return DUPLICATE
        return answer(user, f"{user.id} was updated!")

    def delete(self, user_id: int) -> Any:
        user = db.session.get(User, user_id)
        if not user:
            return MISSING
        email = user.email
        db.session.delete(user)
        db.session.commit()
        return {"status": "success", "message": f"{email} was removed!"}


api.add_resource(Ping, "/ping")
api.add_resource(UsersList, "/users")
api.add_resource(Users, "/users/<int:user_id>")
