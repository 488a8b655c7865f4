"""JSON documents with one value replaced by one that nobody expects there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

Place = tuple[str | int, ...]
# As JSON: Python writes neither all of these numbers nor nests so deeply.
VALUES = (
    *("null", "true", "0", "-1", "1e308", "-1e308", "1e-320", "1e999", "NaN", "-Infinity"),
    *("9223372036854775807", "9223372036854775808", "1" + "0" * 400, "9" * 5000, "[]", "{}"),
    *('""', '"nan"', '"a"', r'"\u001b[31m"', r'"\ud800"', r'"\u202e"', '"' + "a" * 5000 + '"'),
    *("[[[]]]", '{"a": {"a": 1}}', "[" * 5000 + "]" * 5000),
)


def json_variants(data: bytes, first: int = 3) -> Iterator[tuple[str, bytes]]:
    """The document with each of its values replaced by each of VALUES, or left out; of lists
    only the `first` items."""
    document = json.loads(data)
    for place in _places(document, first):
        where = ".".join(map(str, place))
        for value in VALUES:
            yield f"{where} = {value[:30]}", _replace(document, place, value)
        yield f"{where} left out", _replace(document, place, None)


def _places(value: Any, first: int) -> Iterator[Place]:
    parts: Sequence[tuple[str | int, Any]] = ()
    if isinstance(value, dict):
        parts = list(value.items())
    elif isinstance(value, list):
        parts = list(enumerate(value))[:first]
    for key, part in parts:
        yield (key,)
        yield from ((key, *rest) for rest in _places(part, first))


def _replace(document: Any, place: Place, value: str | None) -> bytes:
    copy = json.loads(json.dumps(document))
    parent = copy
    for key in place[:-1]:
        parent = parent[key]
    if value is None:
        del parent[place[-1]]
        return json.dumps(copy).encode()
    mark = "replaced by hostile value"
    parent[place[-1]] = mark
    return json.dumps(copy).replace(f'"{mark}"', value).encode()
