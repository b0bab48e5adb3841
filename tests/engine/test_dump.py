"""A compiled dump produces the same output as the marshmallow schema."""

# ruff: noqa: ARG002 -- the signatures are marshmallow's.
# ruff: noqa: PYI024 -- rows are created as in the database layer, with names known only at run time.

import decimal
import enum
import ipaddress
from collections import OrderedDict, defaultdict, namedtuple
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import Schema, fields, missing, post_dump, pre_dump
from marshmallow_sqlalchemy import SQLAlchemySchema, auto_field
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from users_api.engine.dump import CompiledDump, Dump, compile_dump


class Colour(enum.Enum):
    RED = 1
    NONE = None


class Inner(Schema):
    id = fields.Integer()
    name = fields.String(data_key="called")


class Shouted(fields.String):
    def _serialize(self, value, attr, obj, **kwargs):
        return f"{attr}:{value}!" if value != "" else missing


class Doubled(fields.Integer):
    def _format_num(self, value):
        return 2 * int(value)


class Hexadecimal(fields.Integer):
    num_type = decimal.Decimal


class Negative(fields.Integer):
    def _serialize(self, value, attr, obj, **kwargs):
        return -int(value)


class FieldWithOwnGetValue(fields.Integer):
    def get_value(self, obj, attr, accessor=None, default=missing):
        return 7


class FieldWithOwnSerialize(fields.Integer):
    def serialize(self, attr, obj, accessor=None, **kwargs):
        return f"{attr} of its own"


class Bits(fields.Boolean):
    def _serialize(self, value, attr, obj, **kwargs):
        return int(bool(value))


class Anything(fields.Field):
    pass


class Ordered(fields.Mapping):
    mapping_type = OrderedDict


def instance_with_own_serialize(**options):
    field = fields.String(**options)
    field._serialize = lambda value, *_, **__: f"instance's {value}"  # noqa: SLF001 -- marshmallow has it overridden.
    return field


INTEGERS = st.integers(-10, 2**65)
TEXTS = st.text(max_size=5)
MOMENTS = st.datetimes(
    timezones=st.sampled_from([None, UTC, timezone(timedelta(hours=2)), timezone.utc])  # noqa: UP017
)
INNERS = st.fixed_dictionaries({}, optional={"id": INTEGERS, "name": TEXTS, "called": TEXTS})
ANYTHING = st.one_of(
    st.none(), st.booleans(), INTEGERS, st.floats(), TEXTS, st.binary(max_size=5), MOMENTS,
    st.decimals(), st.lists(INTEGERS, max_size=2), st.just(missing), st.just("12"), st.sampled_from(Colour),
)  # fmt: skip
IPS = st.ip_addresses()
INTERFACES = IPS.map(lambda ip: ipaddress.ip_interface(f"{ip}/24"))

FIELDS = {
    "AwareDateTime": (lambda **o: fields.AwareDateTime(default_timezone=UTC, **o), MOMENTS),
    "Boolean": (fields.Boolean, st.booleans()),
    "Constant": (lambda **o: fields.Constant([1], **o), INTEGERS),
    "Date": (fields.Date, st.dates()),
    "DateTime": (fields.DateTime, MOMENTS),
    "DateTime rfc": (lambda **o: fields.DateTime("rfc", **o), MOMENTS),
    "DateTime timestamp": (lambda **o: fields.DateTime("timestamp_ms", **o), MOMENTS),
    "DateTime strftime": (lambda **o: fields.DateTime("%d/%m", **o), MOMENTS),
    "Decimal": (
        lambda **o: fields.Decimal(places=2, **o),
        st.decimals(allow_nan=False, min_value=0, max_value=9),
    ),
    "Decimal text": (lambda **o: fields.Decimal(as_string=True, allow_nan=True, **o), st.decimals()),
    "Dict": (fields.Dict, st.dictionaries(TEXTS, INTEGERS, max_size=2)),
    "Dict typed": (
        lambda **o: fields.Dict(keys=fields.String(), values=fields.Integer(), **o),
        st.dictionaries(INTEGERS, INTEGERS, max_size=2),
    ),
    "Email": (fields.Email, TEXTS),
    "Enum": (lambda **o: fields.Enum(Colour, **o), st.sampled_from(Colour)),
    "Enum value": (lambda **o: fields.Enum(Colour, by_value=True, **o), st.sampled_from(Colour)),
    "Enum field": (lambda **o: fields.Enum(Colour, by_value=fields.String, **o), st.sampled_from(Colour)),
    "Field": (Anything, ANYTHING),
    "Float": (fields.Float, st.floats() | INTEGERS),
    "Float text": (lambda **o: fields.Float(as_string=True, allow_nan=True, **o), st.floats()),
    "Function": (lambda **o: fields.Function(lambda row: type(row).__name__, **o), INTEGERS),
    "IP": (fields.IP, IPS),
    "IPInterface": (fields.IPInterface, INTERFACES),
    "IPv4": (fields.IPv4, st.ip_addresses(v=4)),
    "IPv4Interface": (fields.IPv4Interface, INTERFACES),
    "IPv6": (lambda **o: fields.IPv6(exploded=True, **o), st.ip_addresses(v=6)),
    "IPv6Interface": (fields.IPv6Interface, INTERFACES),
    "Integer": (fields.Integer, INTEGERS),
    "Integer strict": (lambda **o: fields.Integer(strict=True, **o), INTEGERS),
    "Integer text": (lambda **o: fields.Integer(as_string=True, **o), INTEGERS),
    "List": (lambda **o: fields.List(fields.Integer(), **o), st.lists(INTEGERS, max_size=2)),
    "List nested": (
        lambda **o: fields.List(fields.Nested(Inner, only=["id"]), **o),
        st.lists(INNERS, max_size=2),
    ),
    "Mapping": (
        lambda **o: Ordered(values=fields.Integer(), **o),
        st.dictionaries(TEXTS, INTEGERS, max_size=2),
    ),
    "Method": (lambda **o: fields.Method("told", **o), INTEGERS),
    "Method without a name": (fields.Method, INTEGERS),
    "NaiveDateTime": (lambda **o: fields.NaiveDateTime(timezone=UTC, **o), MOMENTS),
    "Nested": (lambda **o: fields.Nested(Inner, **o), INNERS),
    "Nested many": (
        lambda **o: fields.Nested(Inner, many=True, exclude=["id"], **o),
        st.lists(INNERS, max_size=2),
    ),
    "Nested schema": (lambda **o: fields.Nested(Inner(many=True), **o), st.lists(INNERS, max_size=2)),
    "Nested dict": (lambda **o: fields.Nested(lambda: {"id": fields.Integer()}, **o), INNERS),
    "Number": (Hexadecimal, INTEGERS),
    "Pluck": (lambda **o: fields.Pluck(Inner, "name", **o), INNERS),
    "Pluck many": (lambda **o: fields.Pluck(Inner, "id", many=True, **o), st.lists(INNERS, max_size=2)),
    "Raw": (fields.Raw, ANYTHING),
    "String": (fields.String, TEXTS | st.binary(max_size=5)),
    "Time": (fields.Time, st.times()),
    "TimeDelta": (lambda **o: fields.TimeDelta("milliseconds", **o), st.timedeltas()),
    "Tuple": (
        lambda **o: fields.Tuple((fields.Integer(), fields.String()), **o),
        st.tuples(INTEGERS, TEXTS),
    ),
    "UUID": (fields.UUID, st.uuids()),
    "Url": (fields.Url, TEXTS),
    "own conversion": (Shouted, TEXTS),
    "own conversion of numbers": (Doubled, INTEGERS),
    "own conversion of integers": (Negative, INTEGERS),
    "own conversion of booleans": (Bits, st.booleans()),
    "own value": (FieldWithOwnGetValue, INTEGERS),
    "own serialize": (FieldWithOwnSerialize, INTEGERS),
    "own conversion of an instance": (instance_with_own_serialize, TEXTS),
}
ALIASES = {"Bool", "Int", "Str", "URL"}
NAMES = ["id", "name", "class", "\N{LATIN SMALL LIGATURE FI}eld", "items", "odd name", "quote'\"\n{x}"]


class MethodFieldSchema(Schema):
    def told(self, row):
        return f"told of a {type(row).__name__}"


class Slotted:
    __slots__ = ("id", "items", "name")

    def __init__(self, **values):
        for name, value in values.items():
            setattr(self, name, value)


class KeysFirst(SimpleNamespace):
    """Has items as well as attributes."""

    def __getitem__(self, key):
        return {"id": 99}[key]


class Sequence(list):
    """Its items have no names, but its attributes do."""

    def __init__(self, **values):
        super().__init__([1, 2])
        vars(self).update(values)


def row_of(values, kind):
    if kind is namedtuple:
        names = [name for name in values if name in ("id", "name", "items")]
        return namedtuple("Row", names)(*(values[name] for name in names))
    if kind is Slotted:
        return Slotted(**{name: value for name, value in values.items() if name in Slotted.__slots__})
    if kind is defaultdict:
        return defaultdict(lambda: "7", values)
    return kind(**values)


KINDS = [dict, SimpleNamespace, namedtuple, OrderedDict, defaultdict, Slotted, KeysFirst, Sequence]
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "dump_default": st.sampled_from([None, 5, "text", dict]),
        "attribute": st.sampled_from([*NAMES, "id.real", "name.missing.more", "items.id"]),
        "load_only": st.booleans(),
        "dump_only": st.booleans(),
    },
)


def outcome(dump, *rows):
    """Return the dumped output with types and order, or the exception."""
    try:
        return repr(dump(*rows))
    except Exception as error:  # noqa: BLE001
        return type(error), str(error)


def test_every_field_class_of_marshmallow_is_among_those_tried():
    assert set(fields.__all__) - ALIASES <= set(FIELDS)


@st.composite
def schemas_with_rows(draw):
    """Return a schema, and rows most of whose values are valid for it."""
    members, values = {}, dict.fromkeys(NAMES, ANYTHING)
    for position, name in enumerate(
        draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1, max_size=4))
    ):
        options = draw(OPTIONS)
        if draw(st.booleans()):
            options["data_key"] = f"{position} '\"\\ {name}"
        if options.get("attribute", name) != name:
            # Otherwise two fields could read the same attribute.
            options.update(load_only=False, dump_only=True)
        make, fitting = FIELDS[draw(st.sampled_from(sorted(FIELDS)))]
        members[name] = make(**options)
        values[options.get("attribute", name)] = fitting if draw(st.integers(0, 7)) else ANYTHING
    only = draw(st.none() | st.lists(st.sampled_from(list(members)), min_size=1, unique=True))
    schema = MethodFieldSchema.from_dict(members)(only=only, many=draw(st.booleans()))
    read = {name: values[name] for name in NAMES}
    all_given = draw(st.integers(0, 3))
    row = st.fixed_dictionaries(read) if all_given else st.fixed_dictionaries({}, optional=read)
    shapes = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=2))
    rows = [row_of(draw(row), draw(st.sampled_from(shapes))) for _ in range(draw(st.integers(0, 3)))]
    return schema, rows


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(drawn=schemas_with_rows())
def test_a_compiled_schema_dumps_what_the_schema_dumps(drawn):
    schema, rows = drawn

    compiled = compile_dump(schema)

    assert type(compiled) is CompiledDump
    assert outcome(compiled.many, rows) == outcome(lambda: schema.dump(rows, many=True))
    for row in [*rows, None, 5, "text", dict, Colour]:
        assert outcome(compiled.one, row) == outcome(lambda row=row: schema.dump(row, many=False))


@pytest.mark.parametrize("kind", FIELDS)
@pytest.mark.parametrize("shape", [dict, SimpleNamespace, namedtuple])
@settings(max_examples=3, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_each_field_class_dumps_what_marshmallow_dumps(kind, shape, data):
    make, values = FIELDS[kind]
    schema = MethodFieldSchema.from_dict({"name": make(data_key="shown")})()
    rows = [row_of({"name": data.draw(values)}, shape) for _ in range(2)]

    compiled = compile_dump(schema)

    assert outcome(compiled.many, rows) == outcome(lambda: schema.dump(rows, many=True))
    assert outcome(compiled.one, rows[0]) == outcome(lambda: schema.dump(rows[0]))


def test_rows_may_be_of_several_classes_and_lack_attributes():
    schema = Schema.from_dict({"id": fields.Integer(), "name": fields.String(dump_default="nobody")})()
    rows = [{"id": 1, "name": "Ada"}, SimpleNamespace(id="2"), SimpleNamespace(), None, {"id": None}]

    dumped = compile_dump(schema).many(iter(rows))

    assert dumped == [
        {"id": 1, "name": "Ada"},
        {"id": 2, "name": "nobody"},
        {"name": "nobody"},
        {"name": "nobody"},
        {"id": None, "name": "nobody"},
    ]


def test_names_that_python_normalizes_are_read_exactly():
    schema = Schema.from_dict({"\N{LATIN SMALL LIGATURE FI}eld": fields.Integer()})()
    row = SimpleNamespace(**{"field": 1, "\N{LATIN SMALL LIGATURE FI}eld": 2})  # noqa: PIE804 -- Python normalizes both.

    assert compile_dump(schema).one(row) == schema.dump(row) == {"\N{LATIN SMALL LIGATURE FI}eld": 2}


def test_an_item_comes_before_an_attribute():
    schema = Schema.from_dict({"id": fields.Integer(), "name": fields.String()})()
    row = KeysFirst(id=1, name="Ada")

    assert compile_dump(schema).one(row) == schema.dump(row) == {"id": 99, "name": "Ada"}


class Indexed:
    name = "attribute"

    def __getitem__(self, name): ...

    def __class_getitem__(cls, name):
        return f"item {name}"


def test_items_are_tried_before_attributes():
    schema = Schema.from_dict({"name": fields.String()})()

    assert compile_dump(schema).one(Indexed) == schema.dump(Indexed) == {"name": "item name"}


@pytest.mark.parametrize("shape", [dict, SimpleNamespace, namedtuple])
def test_the_schema_is_not_asked_about_rows_that_have_everything(shape):
    schema = MethodFieldSchema.from_dict(
        {name: fields.String() for name in ("name", "items")} | {"id": fields.Method("told")}
    )()
    rows = [row_of({"id": 1, "name": "Ada", "items": "all"}, shape) for _ in range(2)]
    expected = schema.dump(rows, many=True)
    compiled = compile_dump(schema)
    schema.dump = None

    assert compiled.many(rows) == [compiled.one(row) for row in rows] == expected


class Unreadable:
    name = property(int)  # Reading it raises TypeError.


def test_a_field_that_reads_no_attribute_reads_none():
    schema = Schema.from_dict({"name": fields.Function(lambda _: "computed")})()

    assert compile_dump(schema).one(Unreadable()) == schema.dump(Unreadable()) == {"name": "computed"}


def test_a_failing_conversion_fails_as_in_marshmallow():
    compiled = compile_dump(Schema.from_dict({"id": fields.Integer()})())

    with pytest.raises(ValueError, match="invalid literal"):
        compiled.many([{"id": "no number"}])


class Base(DeclarativeBase):
    pass


class Pet(Base):
    __tablename__ = "pets"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    born: Mapped[datetime | None]


class PetSchema(SQLAlchemySchema):
    class Meta:
        model = Pet

    id = auto_field()
    name = auto_field(data_key="petName")
    born = auto_field()


def test_models_are_dumped_by_their_attributes():
    schema = PetSchema()
    pets = [Pet(id=1, name="Rex", born=datetime(2020, 1, 1, tzinfo=UTC)), Pet(id=2, name="Tom")]

    dumped = compile_dump(schema).many(pets)

    assert dumped == schema.dump(pets, many=True)
    assert dumped[1] == {"id": 2, "petName": "Tom", "born": None}


class Hooked(Inner):
    @pre_dump
    def before(self, row, **_):
        return {"id": row["id"] + 1}


class Wrapped(Inner):
    @post_dump(pass_collection=True)
    def after(self, dumped, many, **_):
        return [{"n": len(dumped)}] if many else {"one": dumped}


class Redirected(Inner):
    def get_attribute(self, obj, attr, default):
        return obj.get(attr.upper(), default)


class Overridden(Inner):
    def dump(self, obj, *, many=None):
        return {"many": many}


class Rewritten(Inner):
    def _serialize(self, obj, *, many=False):
        return {"rewritten": many}


class InOrder(Inner):
    dict_class = OrderedDict


@pytest.mark.parametrize("schema", [Hooked, Wrapped, Redirected, Overridden, Rewritten, InOrder])
def test_a_schema_with_overridden_methods_is_not_compiled(schema):
    rows = [{"id": 1, "ID": 2, "name": "Ada"}, {"id": 2}]

    compiled = compile_dump(schema())

    assert type(compiled) is Dump
    assert outcome(compiled.one, rows[0]) == outcome(lambda: schema().dump(rows[0], many=False))
    assert outcome(compiled.many, iter(rows)) == outcome(lambda: schema().dump(rows, many=True))


class Moment(fields.Field):
    """A timestamp in the format of RFC 3339, which orjson also uses except for whole seconds."""

    def _serialize(self, value, attr, obj, **kwargs):
        if value is None:
            return None
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

    def is_native_to_orjson(self, value):
        return type(value) is datetime and value.tzinfo is UTC and value.microsecond != 0


@settings(max_examples=50, deadline=None, derandomize=True, database=None)
@given(
    moments=st.lists(
        st.none() | MOMENTS | MOMENTS.map(lambda moment: moment.replace(microsecond=0)), max_size=3
    )
)
def test_values_that_orjson_formats_identically_stay_unchanged(moments):
    schema = Schema.from_dict({"at": Moment(data_key="when")})()
    rows = [SimpleNamespace(at=moment) for moment in moments]

    dumped = compile_dump(schema).many(rows)

    assert orjson.dumps(dumped, option=orjson.OPT_UTC_Z) == orjson.dumps(schema.dump(rows, many=True))
    for given_value, left in zip(moments, dumped, strict=True):
        assert (left["when"] is given_value) == (
            given_value is None or schema.fields["at"].is_native_to_orjson(given_value)
        )
