"""Curves of any length in bounded memory."""

from __future__ import annotations

import math

Point = tuple[int, float]
Bucket = tuple[Point, Point, Point, Point]

POINTS = 4096


class Series:
    """A curve of any length in at most `POINTS` points (step, value).

    Points are gathered into buckets of equally many; of each bucket the first, lowest,
    highest and last point stay, so that no spike is lost. When there are too many buckets
    each two become one. A value that is no number is kept only as a first or last.
    """

    __slots__ = ("_buckets", "_count", "_first", "_high", "_last", "_low", "_width")

    def __init__(self) -> None:
        self._buckets: list[Bucket] = []
        self._width = 1
        self._count = 0
        self._first = self._low = self._high = self._last = (0, 0.0)

    def add(self, step: int, value: float) -> None:
        point = (step, value)
        count = self._count
        if count == 0:
            self._first = self._low = self._high = self._last = point
        else:
            self._last = point
            if not self._low[1] <= value <= self._high[1]:
                self._low = _lower(self._low, point)
                self._high = _higher(self._high, point)
        self._count = count = count + 1
        if count >= self._width:
            self._close()

    def drop_after(self, step: int) -> None:
        """Forget the points beyond `step`."""
        self._buckets = [kept for bucket in self._buckets if (kept := _until(step, bucket))]
        if self._count:
            kept = _until(step, (self._first, self._low, self._high, self._last))
            if kept:
                self._first, self._low, self._high, self._last = kept
            else:
                self._count = 0

    def points(self) -> list[Point]:
        """The points kept, in the order in which they came."""
        found = [point for bucket in self._buckets for point in _in_order(bucket)]
        if self._count:
            found += _in_order((self._first, self._low, self._high, self._last))
        return found

    @property
    def last(self) -> Point | None:
        if self._count:
            return self._last
        return self._buckets[-1][3] if self._buckets else None

    def kept(self) -> tuple[object, ...]:
        """All that is remembered, for comparison."""
        return tuple(getattr(self, name) for name in self.__slots__)

    def __bool__(self) -> bool:
        return bool(self._count or self._buckets)

    def _close(self) -> None:
        self._count = 0
        self._buckets.append((self._first, self._low, self._high, self._last))
        # One bucket of four points is always left for those to come.
        if len(self._buckets) >= POINTS // 4 - 1:
            self._width *= 2
            pairs = self._buckets
            self._buckets = [
                (a[0], _lower(a[1], b[1]), _higher(a[2], b[2]), b[3])
                for a, b in zip(pairs[::2], pairs[1::2], strict=False)
            ]
            if len(pairs) % 2:
                self._buckets.append(pairs[-1])


def _lower(a: Point, b: Point) -> Point:
    return b if b[1] < a[1] or math.isnan(a[1]) else a


def _higher(a: Point, b: Point) -> Point:
    return b if b[1] > a[1] or math.isnan(a[1]) else a


def _until(step: int, bucket: Bucket) -> Bucket | None:
    """What is left of a bucket when nothing beyond `step` is; None if nothing is."""
    points = [point for point in _in_order(bucket) if point[0] <= step]
    if not points:
        return None
    low = high = points[0]
    for point in points:
        low, high = _lower(low, point), _higher(high, point)
    return points[0], low, high, points[-1]


def _in_order(bucket: Bucket) -> list[Point]:
    first, low, high, last = bucket
    if first is last:
        return [first]
    between = (low, high) if low[0] <= high[0] else (high, low)
    found = [first]
    found += [point for point in between if point is not found[-1] and point is not last]
    return [*found, last]
