"""The tables of these tests: each kind of constraint, named."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    func,
    select,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from users_api.database import Base as Ours


class Base(DeclarativeBase):
    """A base of its own, with the naming convention of the package."""

    metadata = type(Ours.metadata)(naming_convention=Ours.metadata.naming_convention)


class Topic(Base):
    __tablename__ = "topics"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(50))
    language: Mapped[str] = mapped_column(String(2), default="en")
    reads: Mapped[int] = mapped_column(default=0)
    code: Mapped[str | None] = mapped_column(String(20), unique=True)

    __table_args__ = (
        UniqueConstraint("title", "language", name="uq_topics_title"),
        CheckConstraint("length(title) > 0", name="title"),
    )


class Note(Base):
    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(String(50), unique=True)
    topic_id: Mapped[int | None] = mapped_column(ForeignKey("topics.id"))
    topic: Mapped[Topic | None] = relationship()


Table(
    "markers",
    Base.metadata,
    Column("low", Integer),
    Column("high", Integer),
    Index(None, "low", "high", unique=True),
)
labels = Table("labels", Base.metadata, Column("text", String(50)))
Index("uq_labels_text", func.lower(labels.c.text), unique=True)

ADD = Note.__table__.insert().returning(Note.__table__)
TEXTS = select(Note.__table__.c.text).order_by(Note.__table__.c.text)
