"""Numbers as text."""

from __future__ import annotations

import math
from datetime import datetime

import pytest

from fmnist_tui.util.formatting import (
    NO_VALUE,
    format_clock,
    format_count,
    format_duration,
    format_number,
    format_percent,
    format_percent_margin,
    format_percent_range,
    format_short_duration,
    format_short_time,
    format_size,
    format_time,
)


def test_percentages() -> None:
    assert format_percent(0.91234) == "91.23 %"
    assert format_percent(0.91234, 0) == "91 %"
    assert [format_percent(value) for value in (None, math.nan, math.inf)] == [NO_VALUE] * 3


def test_intervals_of_percentages() -> None:
    assert format_percent_range(0.9133, 0.924) == "91.33 – 92.40 %"
    assert format_percent_margin(0.9187, 0.9133, 0.9241) == "91.87 ±0.54 %"


def test_numbers() -> None:
    assert [format_number(value) for value in (0.25, 12.0, 0.0, 0.00012)] == [
        "0.25",
        "12",
        "0",
        "1.20e-04",
    ]
    assert (format_number(None), format_number(math.inf)) == (NO_VALUE, "inf")


def test_counts() -> None:
    assert [format_count(count, "image") for count in (0, 1, 1200)] == [
        "0 images",
        "1 image",
        "1,200 images",
    ]
    assert format_count(2, "class", "classes") == "2 classes"


@pytest.mark.parametrize(
    ("seconds", "clock", "units"),
    [
        (None, NO_VALUE, NO_VALUE),
        (math.nan, NO_VALUE, NO_VALUE),
        (-3.0, "0:00", "0.0 s"),
        (42.04, "0:42", "42.0 s"),
        (59.97, "1:00", "1 min 00 s"),
        (3723.0, "1:02:03", "1 h 02 min"),
    ],
)
def test_durations(seconds: float | None, clock: str, units: str) -> None:
    assert format_duration(seconds) == clock
    assert format_duration(seconds, units=True) == units


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, NO_VALUE),
        (3.94, "3.9 s"),
        (31.4, "31 s"),
        (330, "5.5 min"),
        (957, "16 min"),
        (7200, "2.0 h"),
    ],
)
def test_short_durations_have_two_digits(seconds: float | None, text: str) -> None:
    assert format_short_duration(seconds) == text


def test_times() -> None:
    now = datetime(2026, 3, 1).timestamp()
    then = datetime(2026, 2, 28, 17, 30).timestamp()
    assert format_time(then) == "2026-02-28 17:30"
    assert format_time(0, utc=True) == "1970-01-01 00:00 UTC"
    assert format_short_time(then, now) == "02-28 17:30"
    assert format_short_time(datetime(2025, 12, 31, 8).timestamp(), now) == "2025-12-31"
    assert format_clock(then + 5) == "17:30:05"
    assert format_time(1e20) == format_short_time(1e20, now) == NO_VALUE
    assert format_time(1e20, utc=True) == format_clock(1e20) == NO_VALUE


def test_sizes() -> None:
    assert [format_size(count) for count in (999, 1500, 12_300, 3_400_000, 2_000_000_000_000)] == [
        "999 bytes",
        "1.5 kB",
        "12 kB",
        "3.4 MB",
        "2000 GB",
    ]
    assert format_size(12_345_678, digits=1) == "12.3 MB"
