"""Curves of any length in bounded memory."""

from __future__ import annotations

import math

CurvePoint = tuple[int, float]
Bucket = tuple[CurvePoint, CurvePoint, CurvePoint, CurvePoint]

MAX_POINTS = 4096


class Series:
    """A curve of any length in at most `MAX_POINTS` points (step, value).

    Points are grouped into buckets of equal size; of each bucket the first, lowest, highest
    and last point are kept, so that no spike is lost. When there are too many buckets,
    neighbours are merged in pairs. NaN is kept only as a first or last point.
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
        """Remove the points after `step`."""
        self._buckets = [*filter(None, (_truncate(step, bucket) for bucket in self._buckets))]
        if self._count:
            current = _truncate(step, (self._first, self._low, self._high, self._last))
            if current:
                self._first, self._low, self._high, self._last = current
            else:
                self._count = 0

    def points(self) -> list[CurvePoint]:
        """The points kept, in the order in which they were added."""
        points = [point for bucket in self._buckets for point in _points_in_order(bucket)]
        if self._count:
            points += _points_in_order((self._first, self._low, self._high, self._last))
        return points

    @property
    def last(self) -> CurvePoint | None:
        if self._count:
            return self._last
        return self._buckets[-1][3] if self._buckets else None

    def snapshot(self) -> tuple[object, ...]:
        """The complete content, for comparison."""
        return tuple(getattr(self, name) for name in self.__slots__)

    def __bool__(self) -> bool:
        return bool(self._count or self._buckets)

    def _close(self) -> None:
        self._count = 0
        self._buckets.append((self._first, self._low, self._high, self._last))
        # One bucket of four points is always left for new points.
        if len(self._buckets) >= MAX_POINTS // 4 - 1:
            self._width *= 2
            pairs = self._buckets
            self._buckets = [
                (a[0], _lower(a[1], b[1]), _higher(a[2], b[2]), b[3])
                for a, b in zip(pairs[::2], pairs[1::2], strict=False)
            ]
            if len(pairs) % 2:
                self._buckets.append(pairs[-1])


def _lower(a: CurvePoint, b: CurvePoint) -> CurvePoint:
    return b if b[1] < a[1] or math.isnan(a[1]) else a


def _higher(a: CurvePoint, b: CurvePoint) -> CurvePoint:
    return b if b[1] > a[1] or math.isnan(a[1]) else a


def _truncate(step: int, bucket: Bucket) -> Bucket | None:
    """The bucket without points after `step`; None if none is left."""
    points = [point for point in _points_in_order(bucket) if point[0] <= step]
    if not points:
        return None
    low = high = points[0]
    for point in points:
        low, high = _lower(low, point), _higher(high, point)
    return points[0], low, high, points[-1]


def _points_in_order(bucket: Bucket) -> list[CurvePoint]:
    first, low, high, last = bucket
    if first is last:
        return [first]
    between = (low, high) if low[0] <= high[0] else (high, low)
    points = [first]
    points += [point for point in between if point is not points[-1] and point is not last]
    return [*points, last]
