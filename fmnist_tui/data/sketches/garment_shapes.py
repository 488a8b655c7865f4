"""The outlines of ten garments, as polygons and strokes, for the drawn data set.

Coordinates run from -1 to 1 with y downwards. Each function takes a `ShapeRandom` and
returns the parts of one garment from back to front; a part's tone is a share of
the garment's own shade (0 is the black background showing through).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Shape:
    """A filled polygon or, where `width` is above 0, a stroke along the points."""

    points: tuple[Point, ...]
    tone: float = 1.0
    width: float = 0.0


class ShapeRandom:
    """Numbers decided beforehand, handed out one after the other."""

    def __init__(self, numbers: Iterable[float]) -> None:
        self._numbers: Iterator[float] = iter(numbers)

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * next(self._numbers)

    def chance(self, share: float) -> bool:
        return next(self._numbers) < share


def _both(half: Iterable[Point], tone: float = 1.0) -> Shape:
    """A symmetrical polygon from the points of its right half, top to bottom."""
    right = tuple(half)
    return Shape(right + tuple((-x, y) for x, y in reversed(right)), tone)


def _pair(points: Iterable[Point], tone: float) -> list[Shape]:
    """The same polygon on the right and, mirrored, on the left."""
    right = tuple(points)
    return [Shape(right, tone), Shape(tuple((-x, y) for x, y in right), tone)]


def _arc(x: float, y: float, wide: float, high: float, start: float, end: float) -> list[Point]:
    """Points along an ellipse's edge; angles in degrees, clockwise from the right."""
    turns = (math.radians(start + (end - start) * step / 10) for step in range(11))
    return [(x + wide * math.cos(turn), y + high * math.sin(turn)) for turn in turns]


def _disc(x: float, y: float, radius: float, tone: float) -> Shape:
    return Shape(tuple(_arc(x, y, radius, radius, 0, 360)), tone)


def _line(start: Point, end: Point, width: float, tone: float) -> Shape:
    return Shape((start, end), tone, width)


def _neck(wide: float, deep: float, top: float, tone: float = 0.0) -> Shape:
    return Shape(tuple(_arc(0, top, wide, deep, 0, 180)), tone)


def _long_sleeves(
    shoulder: float, top: float, width: float, spread: float, end: float, cuff: float
) -> list[Shape]:
    """Two hanging sleeves, cuffs included; `cuff` is their tone."""
    outer, inner = shoulder + spread, shoulder + spread - width
    sleeve = [(shoulder - 0.06, top), (shoulder + 0.1, top + 0.12), (outer, end), (inner, end)]
    sleeve.append((shoulder + 0.02, top + 0.6))
    sleeve.append((shoulder - 0.1, top + 0.4))
    band = [(outer - 0.015, end - 0.14), (outer, end), (inner, end), (inner - 0.02, end - 0.14)]
    return _pair(sleeve, 0.85) + _pair(band, cuff)


def t_shirt(dice: ShapeRandom) -> list[Shape]:
    half, hem = dice.between(0.42, 0.54), dice.between(0.65, 0.92)
    reach, drop = dice.between(0.86, 1.0), dice.between(-0.34, -0.12)
    neck, deep = dice.between(0.16, 0.27), dice.between(0.1, 0.28)
    parts = [
        _both(
            [
                (neck, -0.85),
                (half, -0.76),
                (reach, drop),
                (reach - 0.24, drop + 0.17),
                (half - 0.02, -0.3),
                (half + dice.between(-0.04, 0.05), hem),
            ]
        ),
        _neck(neck, deep, -0.86),
    ]
    if dice.chance(0.4):  # a print on the chest
        size = dice.between(0.12, 0.24)
        parts.append(_disc(0, dice.between(-0.2, 0.1), size, dice.between(0.4, 0.75)))
    return parts


def trouser(dice: ShapeRandom) -> list[Shape]:
    waist, hip = dice.between(0.28, 0.38), dice.between(0.38, 0.48)
    crotch, ankle = dice.between(-0.4, -0.15), dice.between(0.82, 0.98)
    cuff, apart = dice.between(0.15, 0.26), dice.between(0.04, 0.2)
    leg = [(0.0, -0.9), (waist, -0.92), (hip, -0.45), (apart + cuff, ankle), (apart, ankle)]
    leg.append((0.0, crotch))
    parts = _pair(leg, 1.0)
    parts.append(_both([(waist, -0.94), (waist + 0.02, -0.8)], dice.between(0.55, 0.8)))
    if dice.chance(0.5):  # creases
        middle = (apart + cuff / 2, ankle)
        parts += [_line((0.17, -0.5), middle, 0.03, 0.75)]
        parts += [_line((-0.17, -0.5), (-middle[0], ankle), 0.03, 0.75)]
    return parts


def pullover(dice: ShapeRandom) -> list[Shape]:
    half, hem = dice.between(0.4, 0.48), dice.between(0.62, 0.82)
    neck, rib = dice.between(0.17, 0.24), dice.between(0.5, 0.7)
    parts = _long_sleeves(
        half,
        -0.76,
        dice.between(0.22, 0.26),
        dice.between(0.4, 0.52),
        hem - dice.between(-0.04, 0.14),
        rib,
    )
    wide = half + dice.between(-0.04, 0.02)
    parts += [
        _both([(neck, -0.84), (half, -0.76), (half - 0.02, -0.2), (wide, hem)]),
        _both([(wide, hem - 0.15), (wide - 0.03, hem)], rib),
        _neck(neck + 0.08, 0.22, -0.86, rib),
        _neck(neck, 0.12, -0.87),
    ]
    return parts


def dress(dice: ShapeRandom) -> list[Shape]:
    bust, waist = dice.between(0.26, 0.36), dice.between(0.18, 0.26)
    line, skirt = dice.between(-0.3, -0.05), dice.between(0.42, 0.68)
    hem, strap = dice.between(0.85, 0.98), dice.between(0.05, 0.12)
    parts = [
        _both([(bust - 0.05, -0.62), (bust, -0.4), (waist, line), (skirt, hem), (0.0, hem + 0.03)]),
        *_pair(
            [(0.12, -0.95), (0.12 + strap, -0.95), (bust - 0.04, -0.58), (bust - 0.2, -0.56)], 1.0
        ),
    ]
    if dice.chance(0.5):  # a belt
        parts.append(_both([(waist + 0.02, line - 0.05), (waist + 0.02, line + 0.05)], 0.45))
    if dice.chance(0.5):  # folds
        for side in (-1, 1):
            parts.append(_line((side * 0.06, line), (side * skirt * 0.45, hem), 0.03, 0.7))
    return parts


def coat(dice: ShapeRandom) -> list[Shape]:
    half, hem = dice.between(0.38, 0.46), dice.between(0.86, 0.98)
    flare, lapel = dice.between(0.04, 0.12), dice.between(-0.3, 0.0)
    parts = _long_sleeves(
        half,
        -0.8,
        dice.between(0.22, 0.26),
        dice.between(0.38, 0.5),
        dice.between(0.46, 0.66),
        0.9,
    )
    gap = dice.between(0.05, 0.09)
    parts += [
        _both([(0.16, -0.9), (half, -0.8), (half - 0.03, -0.1), (half + flare, hem)]),
        Shape(((-0.2, -0.92), (0.2, -0.92), (gap / 2, lapel), (gap, hem), (-gap, hem)), 0.0),
        *_pair([(0.14, -0.94), (0.34, -0.6), (0.04, lapel + 0.04), (0.12, -0.6)], 0.55),
    ]
    if dice.chance(0.7):  # pockets
        parts += [_line((0.2, 0.35), (0.36, 0.3), 0.06, 0.5)]
        parts += [_line((-0.2, 0.35), (-0.36, 0.3), 0.06, 0.5)]
    return parts


def sandal(dice: ShapeRandom) -> list[Shape]:
    heel, toe = dice.between(0.2, 0.6), dice.between(0.52, 0.66)
    top = toe - heel
    sole = [(-0.92, top - 0.02), (-0.4, top + 0.04), (0.25, toe - 0.08), (0.9, toe - 0.1)]
    sole += [(0.92, toe + 0.03), (0.2, toe + 0.08), (-0.45, top + 0.2)]
    stand = toe + 0.08
    thick = dice.between(0.03, 0.1)
    parts = [
        Shape(tuple(sole), 1.0),
        Shape(((-0.92, top), (-0.55, top + 0.1), (-0.72 + thick, stand), (-0.86, stand)), 1.0),
    ]
    width, tone = dice.between(0.08, 0.14), dice.between(0.7, 1.0)
    arch = dice.between(0.22, 0.36)
    parts.append(Shape(tuple(_arc(0.45, toe - 0.08, 0.3, arch, 190, 350)), tone, width))
    if dice.chance(0.6):
        parts.append(Shape(tuple(_arc(0.12, toe - 0.1, 0.26, arch + 0.06, 200, 345)), tone, width))
    rise = top - dice.between(0.35, 0.5)
    parts.append(
        Shape(((-0.86, top), (-0.8, rise), (-0.35, rise + 0.06), (-0.2, top)), tone, width)
    )
    return parts


def shirt(dice: ShapeRandom) -> list[Shape]:
    half, hem = dice.between(0.4, 0.48), dice.between(0.66, 0.86)
    if dice.chance(0.6):
        parts = _long_sleeves(
            half,
            -0.76,
            dice.between(0.2, 0.25),
            dice.between(0.38, 0.5),
            hem - dice.between(0.0, 0.14),
            0.65,
        )
    else:
        reach, drop = dice.between(0.84, 0.96), dice.between(-0.34, -0.16)
        parts = _pair(
            [
                (half - 0.1, -0.78),
                (half, -0.76),
                (reach, drop),
                (reach - 0.22, drop + 0.16),
                (half - 0.06, -0.34),
            ],
            0.95,
        )
    tail = dice.between(0.08, 0.16)
    parts += [
        _both([(0.2, -0.84), (half, -0.76), (half - 0.03, -0.2), (half, hem - tail), (0.2, hem)]),
        Shape(((-0.16, -0.9), (0.16, -0.9), (0.0, -0.58)), 0.0),
        *_pair([(0.17, -0.98), (0.36, -0.72), (0.2, -0.5), (0.0, -0.6)], 1.3),
        _line((0.0, -0.52), (0.0, hem), dice.between(0.14, 0.18), 1.25),
    ]
    buttons = 5
    for number in range(buttons):
        parts.append(
            _disc(0, -0.38 + number * (hem + 0.3) / buttons, dice.between(0.055, 0.075), 0.1)
        )
    return parts


def sneaker(dice: ShapeRandom) -> list[Shape]:
    collar, ground = dice.between(-0.34, -0.12), dice.between(0.4, 0.52)
    throat, toe = dice.between(-0.22, -0.02), dice.between(0.06, 0.2)
    upper = [(-0.9, collar - 0.04), (-0.6, collar + 0.06), (throat, collar - 0.06)]
    upper += [(0.35, toe - 0.08), (0.75, toe), (0.93, toe + 0.18), (0.92, ground), (-0.9, ground)]
    thick = dice.between(0.12, 0.2)
    sole = ((-0.95, ground - 0.04), (0.96, ground - 0.06), (0.94, ground + thick))
    parts = [Shape(tuple(upper), 1.0), Shape((*sole, (-0.93, ground + thick)), 1.35)]
    parts.append(_line((-0.94, ground - 0.02), (0.94, ground - 0.04), 0.05, 0.3))
    for number in range(3):  # laces
        x = throat + 0.06 + number * 0.14
        y = collar + 0.02 + number * 0.1
        parts.append(_line((x, y), (x - 0.1, y + 0.2), 0.06, 0.35))
    if dice.chance(0.5):  # a stripe on the side
        parts.append(_line((-0.5, ground - 0.1), (-0.15, collar + 0.2), 0.09, 0.5))
    return parts


def bag(dice: ShapeRandom) -> list[Shape]:
    top, bottom = dice.between(-0.4, -0.1), dice.between(0.62, 0.88)
    upper, lower = dice.between(0.58, 0.85), dice.between(0.66, 0.95)
    grip, high = dice.between(0.28, 0.5), dice.between(0.35, 0.7)
    parts = [
        Shape(tuple(_arc(0, top + 0.06, grip, high, 180, 360)), 0.85, dice.between(0.07, 0.13)),
        _both([(upper, top), (lower, bottom - 0.08), (lower - 0.08, bottom)]),
    ]
    flap = dice.between(0.25, 0.5)
    if dice.chance(0.6):
        parts.append(_both([(upper, top), (upper - 0.06, top + flap)], 0.7))
        parts.append(_disc(0, top + flap, 0.08, 1.4))
    else:
        parts.append(_line((-upper, top + 0.12), (upper, top + 0.12), 0.05, 0.4))
    return parts


def ankle_boot(dice: ShapeRandom) -> list[Shape]:
    top, ground = dice.between(-0.9, -0.7), dice.between(0.62, 0.72)
    back, front = dice.between(-0.78, -0.66), dice.between(-0.06, 0.1)
    instep, heel = dice.between(0.12, 0.28), dice.between(0.08, 0.24)
    boot = [(back, top), (front, top + dice.between(-0.04, 0.06)), (front + 0.02, -0.1)]
    boot += [(0.4, instep), (0.82, instep + 0.16), (0.92, ground), (-0.1, ground)]
    boot += [(-0.2, ground - 0.04), (back - 0.04, ground), (back - 0.08, ground - 0.4)]
    parts = [Shape(tuple(boot), 1.0)]
    stack = ((back - 0.04, ground - 0.02), (-0.25, ground - 0.02), (-0.3, ground + heel))
    parts.append(Shape((*stack, (back, ground + heel)), 0.6))
    parts.append(_line((-0.15, ground + 0.02), (0.9, ground + 0.02), 0.08, 0.6))
    if dice.chance(0.5):  # elastic at the ankle
        parts.append(Shape(((-0.42, top + 0.1), (-0.2, top + 0.1), (-0.3, -0.05)), 0.45))
    else:
        parts.append(_line((back, top + 0.12), (front, top + 0.12), 0.06, 0.55))
    return parts


OUTLINES: tuple[Callable[[ShapeRandom], list[Shape]], ...] = (
    t_shirt,
    trouser,
    pullover,
    dress,
    coat,
    sandal,
    shirt,
    sneaker,
    bag,
    ankle_boot,
)
