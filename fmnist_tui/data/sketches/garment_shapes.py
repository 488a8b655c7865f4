"""Random outlines of ten garments, as polygons and strokes, for the sketches dataset.

Coordinates run from -1 to 1 with y downwards. Each function returns the shapes of one garment
from back to front; a shape's tone is relative to the garment's shade, and 0 is black.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Shape:
    """A filled polygon or, if `width` is above 0, a stroke along the points."""

    points: Sequence[Point]
    tone: float = 1.0
    width: float = 0.0


class ShapeRandom:
    """Random values from a fixed sequence of numbers between 0 and 1."""

    def __init__(self, numbers: Iterable[float]) -> None:
        self._numbers = iter(numbers)

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * next(self._numbers)

    def chance(self, probability: float) -> bool:
        return next(self._numbers) < probability


def _symmetric(right: Sequence[Point], tone: float = 1.0) -> Shape:
    """A symmetric polygon from the points of its right half, top to bottom."""
    return Shape([*right, *((-x, y) for x, y in reversed(right))], tone)


def _mirrored(right: Sequence[Point], tone: float, width: float = 0.0) -> list[Shape]:
    """A shape on the right and its mirror image on the left."""
    return [Shape(right, tone, width), Shape([(-x, y) for x, y in right], tone, width)]


def _arc(x: float, y: float, width: float, height: float, start: float, end: float) -> list[Point]:
    """Points along an ellipse's edge; angles in degrees, clockwise from the right."""
    angles = (math.radians(start + (end - start) * step / 10) for step in range(11))
    return [(x + width * math.cos(angle), y + height * math.sin(angle)) for angle in angles]


def _circle(x: float, y: float, radius: float, tone: float) -> Shape:
    return Shape(_arc(x, y, radius, radius, 0, 360), tone)


def _stroke(start: Point, end: Point, width: float, tone: float) -> Shape:
    return Shape((start, end), tone, width)


def _neckline(width: float, depth: float, top: float, tone: float = 0.0) -> Shape:
    return Shape(_arc(0, top, width, depth, 0, 180), tone)


def _long_sleeves(
    shoulder: float, top: float, width: float, spread: float, end: float, cuff: float
) -> list[Shape]:
    """Two hanging sleeves with cuffs; `cuff` is the tone of the cuffs."""
    outer, inner = shoulder + spread, shoulder + spread - width
    sleeve = [(shoulder - 0.06, top), (shoulder + 0.1, top + 0.12), (outer, end), (inner, end)]
    sleeve += [(shoulder + 0.02, top + 0.6), (shoulder - 0.1, top + 0.4)]
    band = [(outer - 0.015, end - 0.14), (outer, end), (inner, end), (inner - 0.02, end - 0.14)]
    return _mirrored(sleeve, 0.85) + _mirrored(band, cuff)


def t_shirt(rng: ShapeRandom) -> list[Shape]:
    half, hem = rng.between(0.42, 0.54), rng.between(0.65, 0.92)
    reach, drop = rng.between(0.86, 1.0), rng.between(-0.34, -0.12)
    neck, deep = rng.between(0.16, 0.27), rng.between(0.1, 0.28)
    right = [(neck, -0.85), (half, -0.76), (reach, drop), (reach - 0.24, drop + 0.17)]
    right += [(half - 0.02, -0.3), (half + rng.between(-0.04, 0.05), hem)]
    parts = [_symmetric(right), _neckline(neck, deep, -0.86)]
    if rng.chance(0.4):  # a print on the chest
        size = rng.between(0.12, 0.24)
        parts.append(_circle(0, rng.between(-0.2, 0.1), size, rng.between(0.4, 0.75)))
    return parts


def trouser(rng: ShapeRandom) -> list[Shape]:
    waist, hip = rng.between(0.28, 0.38), rng.between(0.38, 0.48)
    crotch, ankle = rng.between(-0.4, -0.15), rng.between(0.82, 0.98)
    cuff, apart = rng.between(0.15, 0.26), rng.between(0.04, 0.2)
    leg = [(0.0, -0.9), (waist, -0.92), (hip, -0.45), (apart + cuff, ankle), (apart, ankle)]
    parts = _mirrored([*leg, (0.0, crotch)], 1.0)
    parts.append(_symmetric([(waist, -0.94), (waist + 0.02, -0.8)], rng.between(0.55, 0.8)))
    if rng.chance(0.5):  # creases
        parts += _mirrored([(0.17, -0.5), (apart + cuff / 2, ankle)], 0.75, 0.03)
    return parts


def pullover(rng: ShapeRandom) -> list[Shape]:
    half, hem = rng.between(0.4, 0.48), rng.between(0.62, 0.82)
    neck, rib = rng.between(0.17, 0.24), rng.between(0.5, 0.7)
    width, spread = rng.between(0.22, 0.26), rng.between(0.4, 0.52)
    parts = _long_sleeves(half, -0.76, width, spread, hem - rng.between(-0.04, 0.14), rib)
    wide = half + rng.between(-0.04, 0.02)
    parts += [
        _symmetric([(neck, -0.84), (half, -0.76), (half - 0.02, -0.2), (wide, hem)]),
        _symmetric([(wide, hem - 0.15), (wide - 0.03, hem)], rib),
        _neckline(neck + 0.08, 0.22, -0.86, rib),
        _neckline(neck, 0.12, -0.87),
    ]
    return parts


def dress(rng: ShapeRandom) -> list[Shape]:
    bust, waist = rng.between(0.26, 0.36), rng.between(0.18, 0.26)
    line, skirt = rng.between(-0.3, -0.05), rng.between(0.42, 0.68)
    hem, strap = rng.between(0.85, 0.98), rng.between(0.05, 0.12)
    right = [(bust - 0.05, -0.62), (bust, -0.4), (waist, line), (skirt, hem), (0.0, hem + 0.03)]
    straps = [(0.12, -0.95), (0.12 + strap, -0.95), (bust - 0.04, -0.58), (bust - 0.2, -0.56)]
    parts = [_symmetric(right), *_mirrored(straps, 1.0)]
    if rng.chance(0.5):  # a belt
        parts.append(_symmetric([(waist + 0.02, line - 0.05), (waist + 0.02, line + 0.05)], 0.45))
    if rng.chance(0.5):  # folds
        for side in (-1, 1):
            parts.append(_stroke((side * 0.06, line), (side * skirt * 0.45, hem), 0.03, 0.7))
    return parts


def coat(rng: ShapeRandom) -> list[Shape]:
    half, hem = rng.between(0.38, 0.46), rng.between(0.86, 0.98)
    flare, lapel = rng.between(0.04, 0.12), rng.between(-0.3, 0.0)
    width, spread = rng.between(0.22, 0.26), rng.between(0.38, 0.5)
    parts = _long_sleeves(half, -0.8, width, spread, rng.between(0.46, 0.66), 0.9)
    gap = rng.between(0.05, 0.09)
    parts += [
        _symmetric([(0.16, -0.9), (half, -0.8), (half - 0.03, -0.1), (half + flare, hem)]),
        Shape(((-0.2, -0.92), (0.2, -0.92), (gap / 2, lapel), (gap, hem), (-gap, hem)), 0.0),
        *_mirrored([(0.14, -0.94), (0.34, -0.6), (0.04, lapel + 0.04), (0.12, -0.6)], 0.55),
    ]
    if rng.chance(0.7):  # pockets
        parts += _mirrored([(0.2, 0.35), (0.36, 0.3)], 0.5, 0.06)
    return parts


def sandal(rng: ShapeRandom) -> list[Shape]:
    heel, toe = rng.between(0.2, 0.6), rng.between(0.52, 0.66)
    top = toe - heel
    sole = [(-0.92, top - 0.02), (-0.4, top + 0.04), (0.25, toe - 0.08), (0.9, toe - 0.1)]
    sole += [(0.92, toe + 0.03), (0.2, toe + 0.08), (-0.45, top + 0.2)]
    stand = toe + 0.08
    thick = rng.between(0.03, 0.1)
    heel_block = ((-0.92, top), (-0.55, top + 0.1), (-0.72 + thick, stand), (-0.86, stand))
    parts = [Shape(sole), Shape(heel_block)]
    width, tone = rng.between(0.08, 0.14), rng.between(0.7, 1.0)
    arch = rng.between(0.22, 0.36)
    parts.append(Shape(_arc(0.45, toe - 0.08, 0.3, arch, 190, 350), tone, width))
    if rng.chance(0.6):
        parts.append(Shape(_arc(0.12, toe - 0.1, 0.26, arch + 0.06, 200, 345), tone, width))
    rise = top - rng.between(0.35, 0.5)
    strap = ((-0.86, top), (-0.8, rise), (-0.35, rise + 0.06), (-0.2, top))
    return [*parts, Shape(strap, tone, width)]


def shirt(rng: ShapeRandom) -> list[Shape]:
    half, hem = rng.between(0.4, 0.48), rng.between(0.66, 0.86)
    if rng.chance(0.6):
        width, spread = rng.between(0.2, 0.25), rng.between(0.38, 0.5)
        parts = _long_sleeves(half, -0.76, width, spread, hem - rng.between(0.0, 0.14), 0.65)
    else:
        reach, drop = rng.between(0.84, 0.96), rng.between(-0.34, -0.16)
        sleeve = [(half - 0.1, -0.78), (half, -0.76), (reach, drop), (reach - 0.22, drop + 0.16)]
        parts = _mirrored([*sleeve, (half - 0.06, -0.34)], 0.95)
    tail = rng.between(0.08, 0.16)
    right = [(0.2, -0.84), (half, -0.76), (half - 0.03, -0.2), (half, hem - tail), (0.2, hem)]
    parts += [
        _symmetric(right),
        Shape(((-0.16, -0.9), (0.16, -0.9), (0.0, -0.58)), 0.0),
        *_mirrored([(0.17, -0.98), (0.36, -0.72), (0.2, -0.5), (0.0, -0.6)], 1.3),
        _stroke((0.0, -0.52), (0.0, hem), rng.between(0.14, 0.18), 1.25),
    ]
    for number in range(5):  # buttons
        y = -0.38 + number * (hem + 0.3) / 5
        parts.append(_circle(0, y, rng.between(0.055, 0.075), 0.1))
    return parts


def sneaker(rng: ShapeRandom) -> list[Shape]:
    collar, ground = rng.between(-0.34, -0.12), rng.between(0.4, 0.52)
    throat, toe = rng.between(-0.22, -0.02), rng.between(0.06, 0.2)
    upper = [(-0.9, collar - 0.04), (-0.6, collar + 0.06), (throat, collar - 0.06)]
    upper += [(0.35, toe - 0.08), (0.75, toe), (0.93, toe + 0.18), (0.92, ground), (-0.9, ground)]
    thick = rng.between(0.12, 0.2)
    sole = ((-0.95, ground - 0.04), (0.96, ground - 0.06), (0.94, ground + thick))
    parts = [Shape(upper), Shape((*sole, (-0.93, ground + thick)), 1.35)]
    parts.append(_stroke((-0.94, ground - 0.02), (0.94, ground - 0.04), 0.05, 0.3))
    for number in range(3):  # laces
        x, y = throat + 0.06 + number * 0.14, collar + 0.02 + number * 0.1
        parts.append(_stroke((x, y), (x - 0.1, y + 0.2), 0.06, 0.35))
    if rng.chance(0.5):  # a stripe on the side
        parts.append(_stroke((-0.5, ground - 0.1), (-0.15, collar + 0.2), 0.09, 0.5))
    return parts


def bag(rng: ShapeRandom) -> list[Shape]:
    top, bottom = rng.between(-0.4, -0.1), rng.between(0.62, 0.88)
    upper, lower = rng.between(0.58, 0.85), rng.between(0.66, 0.95)
    grip, high = rng.between(0.28, 0.5), rng.between(0.35, 0.7)
    parts = [
        Shape(_arc(0, top + 0.06, grip, high, 180, 360), 0.85, rng.between(0.07, 0.13)),
        _symmetric([(upper, top), (lower, bottom - 0.08), (lower - 0.08, bottom)]),
    ]
    flap = rng.between(0.25, 0.5)
    if rng.chance(0.6):
        parts.append(_symmetric([(upper, top), (upper - 0.06, top + flap)], 0.7))
        parts.append(_circle(0, top + flap, 0.08, 1.4))
    else:
        parts.append(_stroke((-upper, top + 0.12), (upper, top + 0.12), 0.05, 0.4))
    return parts


def ankle_boot(rng: ShapeRandom) -> list[Shape]:
    top, ground = rng.between(-0.9, -0.7), rng.between(0.62, 0.72)
    back, front = rng.between(-0.78, -0.66), rng.between(-0.06, 0.1)
    instep, heel = rng.between(0.12, 0.28), rng.between(0.08, 0.24)
    boot = [(back, top), (front, top + rng.between(-0.04, 0.06)), (front + 0.02, -0.1)]
    boot += [(0.4, instep), (0.82, instep + 0.16), (0.92, ground), (-0.1, ground)]
    boot += [(-0.2, ground - 0.04), (back - 0.04, ground), (back - 0.08, ground - 0.4)]
    stack = ((back - 0.04, ground - 0.02), (-0.25, ground - 0.02), (-0.3, ground + heel))
    parts = [Shape(boot), Shape((*stack, (back, ground + heel)), 0.6)]
    parts.append(_stroke((-0.15, ground + 0.02), (0.9, ground + 0.02), 0.08, 0.6))
    if rng.chance(0.5):  # elastic at the ankle
        parts.append(Shape(((-0.42, top + 0.1), (-0.2, top + 0.1), (-0.3, -0.05)), 0.45))
    else:
        parts.append(_stroke((back, top + 0.12), (front, top + 0.12), 0.06, 0.55))
    return parts


GARMENTS: tuple[Callable[[ShapeRandom], list[Shape]], ...] = (
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
