"""FastAPI: pydantic models for input and output, SQLAlchemy's asyncio session over asyncpg."""

import os
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, EmailStr, Field
from sqlalchemy import DateTime, String, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"].replace("postgresql:", "postgresql+asyncpg:"))
new_session = async_sessionmaker(engine, expire_on_commit=False)
app = FastAPI()


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(128))
    email: Mapped[str] = mapped_column(String(128))
    active: Mapped[bool] = mapped_column(default=True)
    created_date: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    version: Mapped[int] = mapped_column(default=1)

    @property
    def etag(self) -> str:
        return f'"{self.id}-{self.version}"'


class NewUser(BaseModel):
    model_config = ConfigDict(extra="forbid")

    username: str = Field(min_length=1, max_length=128)
    email: EmailStr = Field(max_length=128)


class UserReplacement(NewUser):
    active: bool | None = None


class UserChange(BaseModel):
    model_config = ConfigDict(extra="forbid")

    username: str | None = Field(None, min_length=1, max_length=128)
    email: EmailStr | None = Field(None, max_length=128)
    active: bool | None = None


class UserOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    username: str
    email: str
    active: bool
    created_date: datetime


class Answer(BaseModel):
    status: str = "success"
    message: str | None = None
    data: UserOut | None = None


class Page(BaseModel):
    users: list[UserOut]
    next: str | None
    prev: str | None = None


class PageAnswer(BaseModel):
    status: str = "success"
    data: Page


async def session() -> AsyncIterator[AsyncSession]:
    async with new_session() as opened:
        yield opened


Session = Annotated[AsyncSession, Depends(session)]


@app.exception_handler(HTTPException)
async def failed(_request: Request, error: HTTPException) -> JSONResponse:
    return JSONResponse({"status": "fail", "message": error.detail}, error.status_code)


@app.exception_handler(RequestValidationError)
async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
    errors = [{"field": str(one["loc"][-1]), "message": one["msg"]} for one in error.errors()]
    return JSONResponse({"status": "fail", "message": "Invalid payload.", "errors": errors}, 400)


async def find(session: AsyncSession, user_id: int) -> User:
    if user := await session.get(User, user_id):
        return user
    raise HTTPException(404, "User does not exist")


async def commit(session: AsyncSession) -> None:
    try:
        await session.commit()
    except IntegrityError:
        raise HTTPException(400, "Sorry. That email already exists.") from None


@app.get("/ping", response_model_exclude_none=True)
async def ping() -> Answer:
    return Answer(message="pong")


@app.get("/users")
async def list_users(
    session: Session,
    response: Response,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: Annotated[int, Query(ge=0)] = 0,
    email: str | None = None,
) -> PageAnswer:
    query = select(User).where(User.id > after).order_by(User.id).limit(limit + 1)
    if email is not None:
        query = query.where(func.lower(User.email) == email.lower())
    users = (await session.scalars(query)).all()
    link = f"/users?limit={limit}&after={users[limit - 1].id}" if len(users) > limit else None
    if link:
        response.headers["Link"] = f'<{link}>; rel="next"'
    return PageAnswer(data=Page(users=[UserOut.model_validate(user) for user in users[:limit]], next=link))


@app.post("/users", status_code=201)
async def create_user(session: Session, response: Response, body: NewUser) -> Answer:
    user = User(**body.model_dump())
    session.add(user)
    await commit(session)
    response.headers["Location"] = f"/users/{user.id}"
    response.headers["ETag"] = user.etag
    return Answer(message=f"{user.email} was added!", data=UserOut.model_validate(user))


@app.get("/users/{user_id}", response_model=Answer, response_model_exclude_none=True)
async def get_user(
    session: Session, response: Response, user_id: int, if_none_match: Annotated[str | None, Header()] = None
) -> Any:
    user = await find(session, user_id)
    if if_none_match and user.etag in if_none_match:
        return Response(status_code=304, headers={"ETag": user.etag})
    response.headers["ETag"] = user.etag
    return Answer(data=UserOut.model_validate(user))


@app.put("/users/{user_id}")
async def update_user(session: Session, response: Response, user_id: int, body: UserReplacement) -> Answer:
    return await change(session, response, user_id, body)


@app.patch("/users/{user_id}")
async def patch_user(session: Session, response: Response, user_id: int, body: UserChange) -> Answer:
    return await change(session, response, user_id, body)


async def change(session: AsyncSession, response: Response, user_id: int, body: BaseModel) -> Answer:
    user = await find(session, user_id)
    for name, value in body.model_dump(exclude_none=True).items():
        setattr(user, name, value)
    user.version += 1
    await commit(session)
    response.headers["ETag"] = user.etag
    return Answer(message=f"{user.id} was updated!", data=UserOut.model_validate(user))


@app.delete("/users/{user_id}", response_model_exclude_none=True)
async def delete_user(session: Session, user_id: int) -> Answer:
    user = await find(session, user_id)
    await session.delete(user)
    await session.commit()
    return Answer(message=f"{user.email} was removed!")
