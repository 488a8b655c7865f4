"""Encodes frozen dataclasses as JSON lines: the codec of events and commands.

A line is an object whose `"is"` names the class. Fields are numbers, strings, booleans,
None and (nested) tuples of these. For compatibility with other versions an unknown field
is ignored and a missing field takes its default.
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

Message = TypeVar("Message")
Encoder = Callable[[Any], Any]

# JSON has no NaN and no infinity: they are encoded as strings and decoded as these very
# objects, so that equal lines give equal messages.
_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}

# Larger integers could not be converted to float everywhere.
_INT_LIMIT = 2**63 - 1


class DecodeError(ValueError):
    """A line that is not a valid message."""


class UnknownKindError(DecodeError):
    """A well-formed line of a kind that this version does not know."""


# --- encoding; scalars of numpy and torch become plain numbers


def _encode_float(value: Any) -> float | str:
    number = float(value)
    return number if math.isfinite(number) else repr(number)


def _encode_int(value: Any) -> int:
    number = operator.index(value)
    if not -_INT_LIMIT < number < _INT_LIMIT:
        raise ValueError(f"a whole number of {number.bit_length()} bits is too large to encode")
    return number


def _encode_str(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a string, found {type(value).__name__}")
    return value


# --- decoding, strict except for what the encoders above change

_FLOAT = cs.union_schema(
    [
        cs.float_schema(strict=True),
        cs.no_info_after_validator_function(
            _NOT_FINITE.__getitem__, cs.literal_schema([*_NOT_FINITE])
        ),
    ],
    mode="left_to_right",
)
_INT = cs.int_schema(strict=True, gt=-_INT_LIMIT, lt=_INT_LIMIT)
_STR = cs.str_schema(strict=True)


def _field_codec(hint: Any) -> tuple[Encoder, cs.CoreSchema]:
    """The encoder and the validation schema of a field of this type."""
    if hint is float:
        return _encode_float, _FLOAT
    if hint is int:
        return _encode_int, _INT
    if hint is str:
        return _encode_str, _STR
    if hint is bool:
        return bool, cs.bool_schema(strict=True)
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType) and len(args) == 2 and type(None) in args:
        encode, schema = _field_codec(args[0] if args[1] is type(None) else args[1])
        return (lambda value: None if value is None else encode(value)), cs.nullable_schema(schema)
    if origin is tuple and len(args) == 2 and args[1] is Ellipsis:
        encode, schema = _field_codec(args[0])
        return (lambda value: [encode(part) for part in value]), cs.tuple_schema(
            [schema], variadic_item_index=0
        )
    raise TypeError(f"cannot encode {hint} as JSON")


class _Kind:
    """A message class with the encoders and schema of its fields."""

    def __init__(self, kind: type[Any]) -> None:
        hints = get_type_hints(kind)
        self.encoders: dict[str, Encoder] = {}
        fields = []
        for field in dataclasses.fields(kind):
            self.encoders[field.name], schema = _field_codec(hints[field.name])
            if field.default is not dataclasses.MISSING:
                schema = cs.with_default_schema(schema, default=field.default)
            fields.append(cs.dataclass_field(field.name, schema))
        self.schema = cs.dataclass_schema(
            kind,
            cs.dataclass_args_schema(kind.__name__, fields),
            [*self.encoders],
            frozen=True,
            slots=True,
        )


class JsonCodec(Generic[Message]):
    """Encodes and decodes messages of the given classes."""

    def __init__(self, *kinds: type[Message]) -> None:
        self.kinds = kinds

    @cached_property
    def _kinds_by_name(self) -> dict[str, _Kind]:
        return {kind.__name__: _Kind(kind) for kind in self.kinds}

    @cached_property
    def _validator(self) -> SchemaValidator:
        choices: dict[Any, cs.CoreSchema] = {
            name: kind.schema for name, kind in self._kinds_by_name.items()
        }
        return SchemaValidator(cs.tagged_union_schema(choices, discriminator="is"))

    def encode(self, message: Message) -> str:
        """One line of ASCII JSON, without the newline.

        A surrogate pair in a string is decoded as the character that it stands for.
        """
        name = type(message).__name__
        encoders = self._kinds_by_name[name].encoders
        body = {field: encode(getattr(message, field)) for field, encode in encoders.items()}
        return json.dumps({"is": name, **body}, separators=(",", ":"), allow_nan=False)

    def decode(self, line: str | bytes) -> Message:
        """The message on the line; raises DecodeError for anything else."""
        try:
            return cast(Message, self._validator.validate_json(line))
        except ValidationError as error:
            if error.errors()[0]["type"] != "json_invalid":
                raise _decode_error(error) from error
        return self._decode_slowly(line)

    def _decode_slowly(self, line: str | bytes) -> Message:
        # The fast parser rejects lone surrogates, as in a file name that is not UTF-8.
        try:
            body = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DecodeError("not a line of JSON") from error
        try:
            return cast(Message, self._validator.validate_python(body))
        except ValidationError as error:
            raise _decode_error(error) from error


def _decode_error(error: ValidationError) -> DecodeError:
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "union_tag_invalid":
        return UnknownKindError(f"unknown kind {str(first['ctx']['tag'])[:80]!r}")
    location = ".".join(str(part) for part in first["loc"])
    return DecodeError(f"{location}: {first['msg']}" if location else first["msg"])
