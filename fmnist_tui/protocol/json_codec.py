"""Frozen dataclasses as JSON lines: the one codec behind events and commands.

A line is an object whose `"is"` names the class. Fields are numbers, strings,
booleans, None and (nested) tuples of these. Readers forgive the future: a field
they do not know is ignored, a field that is missing takes its default.
"""

from __future__ import annotations

import dataclasses
import json
import math
import operator
import types
from collections.abc import Callable
from functools import cached_property
from typing import Any, Generic, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from pydantic_core import SchemaValidator, ValidationError
from pydantic_core import core_schema as cs

Thing = TypeVar("Thing")
Writer = Callable[[Any], Any]

# JSON has no NaN and no infinity: those travel as the strings repr() gives them, and
# arrive as these very objects, so that equal lines make equal things.
_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}

# Whole numbers beyond this count nothing, and beyond about 1e308 they would break the
# arithmetic of whoever shows them.
_WHOLE_LIMIT = 2**63 - 1


class DecodeError(ValueError):
    """A line that is not one of ours."""


class UnknownKindError(DecodeError):
    """A well-formed line of a kind this version does not know."""


# --- writing: numpy's and torch's scalars travel as the plain numbers they stand for


def _write_float(value: Any) -> float | str:
    number = float(value)
    return number if math.isfinite(number) else repr(number)


def _write_int(value: Any) -> int:
    number = operator.index(value)
    if not -_WHOLE_LIMIT < number < _WHOLE_LIMIT:
        raise ValueError(f"a whole number of {number.bit_length()} bits is too large to travel")
    return number


def _write_str(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a string, found {type(value).__name__}")
    return value


def _write_optional(write: Writer) -> Writer:
    return lambda value: None if value is None else write(value)


def _write_tuple(write: Writer) -> Writer:
    return lambda value: [write(part) for part in value]


# --- reading: strictly, but for what the writing above had to change

_FLOAT = cs.union_schema(
    [
        cs.float_schema(strict=True),
        cs.no_info_after_validator_function(
            _NOT_FINITE.__getitem__, cs.literal_schema([*_NOT_FINITE])
        ),
    ],
    mode="left_to_right",
)
_INT = cs.int_schema(strict=True, gt=-_WHOLE_LIMIT, lt=_WHOLE_LIMIT)
_STR = cs.str_schema(strict=True)


def _codec(hint: Any) -> tuple[Writer, cs.CoreSchema]:
    """How a field of this type is written, and what is accepted for it in a line."""
    if hint is float:
        return _write_float, _FLOAT
    if hint is int:
        return _write_int, _INT
    if hint is str:
        return _write_str, _STR
    if hint is bool:
        return bool, cs.bool_schema(strict=True)
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType) and len(args) == 2 and type(None) in args:
        write, schema = _codec(args[0] if args[1] is type(None) else args[1])
        return _write_optional(write), cs.nullable_schema(schema)
    if origin is tuple and len(args) == 2 and args[1] is Ellipsis:
        write, schema = _codec(args[0])
        return _write_tuple(write), cs.tuple_schema([schema], variadic_item_index=0)
    raise TypeError(f"{hint} cannot travel as JSON here")


class _Kind:
    """One class of a vocabulary and how its fields travel."""

    def __init__(self, kind: type[Any]) -> None:
        hints = get_type_hints(kind)
        self.writers: dict[str, Writer] = {}
        fields = []
        for field in dataclasses.fields(kind):
            self.writers[field.name], schema = _codec(hints[field.name])
            if field.default is not dataclasses.MISSING:
                schema = cs.with_default_schema(schema, default=field.default)
            fields.append(cs.dataclass_field(field.name, schema))
        self.schema = cs.dataclass_schema(
            kind,
            cs.dataclass_args_schema(kind.__name__, fields),
            [*self.writers],
            frozen=True,
            slots=True,
        )


class JsonCodec(Generic[Thing]):
    """The kinds that may stand on a line, with their encoder and decoder."""

    def __init__(self, *kinds: type[Thing]) -> None:
        self.kinds = kinds

    @cached_property
    def _known(self) -> dict[str, _Kind]:
        return {kind.__name__: _Kind(kind) for kind in self.kinds}

    @cached_property
    def _validator(self) -> SchemaValidator:
        choices: dict[Any, cs.CoreSchema] = {
            name: kind.schema for name, kind in self._known.items()
        }
        return SchemaValidator(cs.tagged_union_schema(choices, discriminator="is"))

    def encode(self, thing: Thing) -> str:
        """One line of JSON, without the newline; pure ASCII.

        A pair of surrogates in a string arrives as the character the pair stands for.
        """
        name = type(thing).__name__
        writers = self._known[name].writers
        body = {field: write(getattr(thing, field)) for field, write in writers.items()}
        return json.dumps({"is": name, **body}, separators=(",", ":"), allow_nan=False)

    def decode(self, line: str | bytes) -> Thing:
        """The thing on the line; raises WireError for anything else."""
        try:
            return cast(Thing, self._validator.validate_json(line))
        except ValidationError as error:
            if error.errors()[0]["type"] != "json_invalid":
                raise _wire_error(error) from error
        return self._decode_slowly(line)

    def _decode_slowly(self, line: str | bytes) -> Thing:
        # What the fast parser calls invalid may hold but a lone surrogate: a file name
        # that is not UTF-8.
        try:
            body = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DecodeError("not a line of JSON") from error
        try:
            return cast(Thing, self._validator.validate_python(body))
        except ValidationError as error:
            raise _wire_error(error) from error


def _wire_error(error: ValidationError) -> DecodeError:
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "union_tag_invalid":
        return UnknownKindError(f"unknown kind {str(first['ctx']['tag'])[:80]!r}")
    where = ".".join(str(part) for part in first["loc"])
    return DecodeError(f"{where}: {first['msg']}" if where else first["msg"])
