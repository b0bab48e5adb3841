"""The query of a request: which of its pairs belong to which parameter."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

from users_api.engine.failures import FieldError
from users_api.engine.messages import MAX_ERRORS
from users_api.engine.parameter_compiler import refuse
from users_api.engine.parameter_readers import (
    NOT_ENCODED,
    TOO_DEEP,
    DeepObject,
    ExplodedObject,
    Pairs,
    Parameter,
)
from users_api.engine.percent import decode_form, decode_percent
from users_api.engine.styles import (
    MAX_DEPTH,
    REPEATED,
    Decode,
    parse_deep,
)

MAX_PAIRS: Final = 4_000
MAX_PARSED_PAIRS: Final = 1_000  # Connexion's parsers take quadratic time for a deepObject.
REQUIRED: Final = "is required"


class Query:
    """The query parameters of one operation."""

    __slots__ = (
        "_deep",
        "_free",
        "_known",
        "_most_pairs",
        "_owners",
        "_parameters",
        "_parser",
        "_required",
        "_single",
        "_strict",
    )

    def __init__(self, *, strict: bool, known: frozenset[str], parser: Any) -> None:
        """Start without parameters; `known` names are neither parameters nor errors."""
        self._strict, self._known, self._parser = strict, known, parser
        self._parameters: list[Parameter] = []
        self._required: list[Parameter] = []
        self._single: dict[str, Parameter] = {}
        self._deep: dict[str, Parameter] = {}
        self._owners: dict[str, Parameter] = {}
        self._free: Parameter | None = None
        self._most_pairs = MAX_PAIRS

    def __bool__(self) -> bool:
        """Return whether even an empty query must be parsed."""
        return bool(self._required)

    def add(self, parameter: Parameter, pointer: str) -> None:
        """Register the parameter's names; each name belongs to one parameter."""
        names = parameter.names if isinstance(parameter, ExplodedObject) else {parameter.name}
        if taken := names & self._owners.keys():
            refuse(
                pointer, f"{min(taken)} in the query belongs to another parameter too", "rename one of them"
            )
        self._parameters.append(parameter)
        if parameter.required:
            self._required.append(parameter)
        if parameter.repeats:
            self._most_pairs = max(self._most_pairs, parameter.most_items)
        if isinstance(parameter, DeepObject):
            self._deep[parameter.name] = parameter
            return
        self._owners |= dict.fromkeys(names, parameter)
        if not parameter.reads_pairs:
            self._single[parameter.name] = parameter
        if isinstance(parameter, ExplodedObject) and parameter.is_free:
            if self._free:
                refuse(pointer, "two objects take every unknown name in the query", "use style deepObject")
            self._free = parameter

    def parse_into(self, query: bytes, found: dict[str, Any], errors: list[FieldError]) -> None:
        """Add the values to the found arguments, and every error to `errors`."""
        try:
            if query.count(b"&") >= self._most_pairs:
                errors.append(FieldError("", f"the query must have {self._most_pairs} or fewer parameters"))
                return
            pairs, decode = _parse_query(query)
        except ValueError:
            errors.append(FieldError("", f"the query {NOT_ENCODED}"))
            return
        given = dict(pairs)
        if self._parser:
            self._take_parsed(pairs, decode, found, errors)
        elif len(given) == len(pairs) and given.keys() <= self._single.keys():
            for name, text in pairs:
                self._single[name].parse_into(text, decode, found, errors)
        else:
            self._take_any(pairs, decode, found, errors)
        errors += [FieldError(each.name, REQUIRED) for each in self._required if each.argument not in found]

    def _take_any(
        self, pairs: Pairs, decode: Decode, found: dict[str, Any], errors: list[FieldError]
    ) -> None:
        """Handle unknown and repeated names too; if not strict, the last text wins, as in Connexion."""
        if self._strict:
            errors += islice(self._name_errors(name for name, _ in pairs), MAX_ERRORS)
        # Only one value of a repeated parameter is checked. In strict mode the repetition itself is an error.
        for name, text in _first_texts(pairs) if self._strict else dict(pairs).items():
            if single := self._single.get(name):
                single.parse_into(text, decode, found, errors)
        spread: dict[Parameter, Pairs] = {}
        for name, text in pairs:
            if (owner := self._owner(name)) and owner.reads_pairs:
                spread.setdefault(owner, []).append((name, text))
        for parameter, own in spread.items():
            parameter.parse_into(own, decode, found, errors)

    def _owner(self, name: str) -> Parameter | None:
        if (owner := self._owners.get(name)) or name in self._known:
            return owner
        if self._deep and (deep := parse_deep(name)) and (owner := self._deep.get(deep[0])):
            return owner
        return self._free

    def _name_errors(self, names: Iterable[str]) -> Iterator[FieldError]:
        for name, times in Counter(names).items():
            owner = self._owner(name)
            if owner is None:
                if name not in self._known:
                    yield FieldError(name, "is not a known parameter")
            elif times > 1 and not owner.repeats:
                yield FieldError(owner.label(name), REPEATED)

    def _take_parsed(
        self, pairs: Pairs, decode: Decode, found: dict[str, Any], errors: list[FieldError]
    ) -> None:
        """Let the URI parser join and split the texts."""
        texts: dict[str, list[str]] = {}
        for name, text in pairs:
            if name.count("[") > MAX_DEPTH:  # Connexion's parsers recurse once for each bracket.
                errors.append(FieldError(name.partition("[")[0], TOO_DEEP))
                return
            texts.setdefault(name, []).append(decode(text))
        if len(pairs) > MAX_PARSED_PAIRS:
            errors.append(FieldError("", f"the query must have {MAX_PARSED_PAIRS} or fewer parameters"))
            return
        values = self._parser.resolve_query(texts)
        names = {parameter.name for parameter in self._parameters}
        if self._strict:
            unknown = [name for name in values if name not in names and name not in self._known]
            errors += [FieldError(name, "is not a known parameter") for name in unknown]
        for parameter in self._parameters:
            if parameter.name in values:
                parameter.parse_into(values[parameter.name], str, found, errors)


def _first_texts(pairs: Pairs) -> Iterable[tuple[str, str]]:
    """Return the first pair of each name, in the order of the query."""
    texts: dict[str, str] = {}
    for name, text in pairs:
        texts.setdefault(name, text)
    return texts.items()


def _parse_query(query: bytes) -> tuple[Pairs, Decode]:
    """Return names and raw texts, and what decodes the texts; raise ValueError if one is invalid."""
    text = query.decode("ascii")
    decode: Decode = str
    if "%" in text or "+" in text:
        decode_percent(text)
        decode = decode_form
    pairs = [piece.partition("=") for piece in text.split("&") if piece]
    return [(decode(name), value) for name, _, value in pairs], decode
