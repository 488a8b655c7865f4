"""The codec behind events and commands."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fmnist_tui.protocol.commands import COMMANDS, SetLearningRate, Stop
from fmnist_tui.protocol.events import EVENTS, Alert, Changed, Event, Telemetry
from fmnist_tui.protocol.json_codec import DecodeError, JsonCodec, UnknownKindError
from tests.unit.support import ANY_EVENT, PROPERTY, epoch_ended, evaluated, instances, progress


@PROPERTY
@given(ANY_EVENT)
@example(Alert(math.nan, "\udc80\u202e\x1b[2J", "a\nb\u2028c"))
@example(progress(1, loss=math.nan, lr=-math.inf))
def test_an_encoded_event_is_decoded_unchanged(event: Event) -> None:
    line = EVENTS.encode(event)
    assert repr(EVENTS.decode(line)) == repr(event)
    assert repr(EVENTS.decode(line.encode())) == repr(event)


@PROPERTY
@given(st.one_of([instances(kind) for kind in COMMANDS.kinds]))
def test_an_encoded_command_is_decoded_unchanged(command: Any) -> None:
    assert repr(COMMANDS.decode(COMMANDS.encode(command))) == repr(command)


@PROPERTY
@given(ANY_EVENT)
def test_a_line_is_ascii_json_without_a_newline(event: Event) -> None:
    line = EVENTS.encode(event)
    assert line.isascii() and line.isprintable()

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    assert json.loads(line, parse_constant=refuse)["is"] == type(event).__name__


@PROPERTY
@given(st.floats(allow_nan=False))
def test_a_float_keeps_every_bit(number: float) -> None:
    decoded = COMMANDS.decode(COMMANDS.encode(SetLearningRate(0.0, number)))
    assert isinstance(decoded, SetLearningRate)
    assert decoded.lr.hex() == number.hex()


def test_decoding_a_line_twice_gives_equal_events_even_with_nan() -> None:
    line = EVENTS.encode(progress(1, loss=math.nan))
    assert EVENTS.decode(line) == EVENTS.decode(line)


def test_a_surrogate_pair_is_decoded_as_its_character() -> None:
    assert EVENTS.decode(EVENTS.encode(Alert(0.0, "", "\ud83d\ude00"))) == Alert(
        0.0, "", "\U0001f600"
    )


@PROPERTY
@given(ANY_EVENT, st.data())
def test_an_incomplete_line_is_never_decoded_as_another_event(
    event: Event, data: st.DataObject
) -> None:
    line = EVENTS.encode(event)
    cut = data.draw(st.integers(0, len(line) - 1))
    with pytest.raises(DecodeError):
        EVENTS.decode(line[:cut])


@PROPERTY
@given(st.binary(max_size=60) | st.text(max_size=60))
@example(b"\x00" * 64)
@example("[" * 100_000)
@example('{"is":' * 50_000)
@example("1" * 5000)
@example("null")
@example('{"is":["Alert"]}')
@example('{"is":"Alert","t":1,"level":"\ud800","message":""}')
def test_invalid_lines_are_refused(line: str | bytes) -> None:
    with pytest.raises(DecodeError):
        EVENTS.decode(line)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("t", '"1.5"'),
        ("t", "true"),
        ("t", "null"),
        ("t", "[1]"),
        ("t", '"NAN"'),
        ("step", "1.0"),
        ("step", "true"),
        ("step", '"1"'),
        ("step", str(2**63)),
        ("step", "1" + "0" * 400),
        ("what", "1"),
        ("what", "null"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(field: str, value: str) -> None:
    fields = {"t": "1.0", "step": "1", "what": '"lr"', "value": '"0.1"', field: value}
    body = ",".join(f'"{name}":{text}' for name, text in fields.items())
    with pytest.raises(DecodeError, match=field):
        EVENTS.decode(f'{{"is":"Changed",{body}}}')


def test_an_unknown_field_is_ignored_and_a_missing_one_takes_its_default() -> None:
    line = '{"is":"Telemetry","future":[{}],"t":1,"cpu_percent":null,"memory_mb":2}'
    assert EVENTS.decode(line) == Telemetry(1.0, None, 2.0)


def test_a_missing_field_without_a_default_is_named() -> None:
    with pytest.raises(DecodeError, match="message"):
        EVENTS.decode('{"is":"Alert","t":1,"level":"note"}')


def test_an_unknown_kind_has_an_error_of_its_own_with_its_name() -> None:
    with pytest.raises(UnknownKindError) as caught:
        EVENTS.decode('{"is":"' + "Rollback" * 1000 + '","t":1}')
    assert "Rollback" in str(caught.value)
    assert len(str(caught.value)) < 120


def test_numpy_scalars_are_encoded_as_plain_numbers() -> None:
    numbers: dict[str, Any] = {
        "step": np.int64(7),
        "train_loss": np.float32(0.5),
        "val_loss": np.float64("nan"),
        "lr": np.float32("inf"),
        "best": np.bool_(True),
    }
    event = dataclasses.replace(epoch_ended(1), **numbers)
    plain = dataclasses.replace(
        epoch_ended(1), step=7, train_loss=0.5, val_loss=math.nan, lr=math.inf, best=True
    )
    assert EVENTS.encode(event) == EVENTS.encode(plain)


@pytest.mark.parametrize(
    "event",
    [
        Changed(1.0, 2.5, "lr", "x"),  # type: ignore[arg-type]
        Changed(1.0, 2, "lr", 0.1),  # type: ignore[arg-type]
        Changed(1.0, 2**64, "lr", "x"),
        Changed("now", 2, "lr", "x"),  # type: ignore[arg-type]
    ],
)
def test_values_that_could_not_be_decoded_are_not_encoded(event: Event) -> None:
    with pytest.raises((TypeError, ValueError)):
        EVENTS.encode(event)


def test_a_matrix_is_decoded_as_tuples() -> None:
    event = evaluated(0.9)
    assert EVENTS.decode(EVENTS.encode(event)) == event


def test_an_unsupported_field_type_is_refused_on_first_use() -> None:
    @dataclass(frozen=True, slots=True)
    class Odd:
        t: complex

    with pytest.raises(TypeError, match="cannot encode"):
        JsonCodec(Odd).encode(Odd(1j))


def test_commands_and_events_have_separate_codecs() -> None:
    with pytest.raises(UnknownKindError):
        EVENTS.decode(COMMANDS.encode(Stop(1.0)))
