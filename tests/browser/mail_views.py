"""A mail as other programs would show it: without style blocks, in Outlook's branch, inverted by force.

Simulations, made from what is known of those programs; none of them is the program itself.
"""

import re

_STYLE = re.compile(r"<style>.*?</style>", re.S)
_MSO = re.compile(r"<!--\[if mso\]>(.*?)<!\[endif\]-->", re.S)
_UNKNOWN_TO_OUTLOOK = re.compile(r"(border-radius|max-width|text-wrap):[^;\"]*;?")
_INLINE_COLOUR = re.compile(
    r"(?P<name>(?<![-\w])(?:background-)?color:|bgcolor=\")(?P<colour>#[0-9a-f]{6})", re.I
)
_LINEAR_FROM = 0.04045
_WHITE = (0.95047, 1.0, 1.08883)
_TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
_TO_RGB = (
    (3.2404542, -1.5371385, -0.4985314),
    (-0.9692660, 1.8760108, 0.0415560),
    (0.0556434, -0.2040259, 1.0572252),
)


def without_styles(html: str) -> str:
    """What a program shows that drops every style block: the inline styles are all there is."""
    opened_for_outlook = _MSO.sub("", html)
    return _STYLE.sub("", opened_for_outlook)


def as_outlook(html: str) -> str:
    """Outlook's branch taken, its XML and all style blocks gone, and what its engine does not know."""
    taken = _MSO.sub(lambda branch: "" if "<xml>" in branch[1] else branch[1], html)
    return _UNKNOWN_TO_OUTLOOK.sub("", _STYLE.sub("", taken))


def forced_dark(html: str) -> str:
    """Lightness inverted in every inline colour, as programs do that ignore what a mail asks for."""

    def inverted(match: re.Match[str]) -> str:
        is_ground = not match["name"].lower().startswith("color")
        return match["name"] + inverted_colour(match["colour"], is_ground=is_ground)

    without_wish = re.sub(
        r"<meta name=\"(supported-)?color-scheme\"[^>]*>|(supported-)?color-scheme:[^;\"]*;?", "", html
    )
    return _INLINE_COLOUR.sub(inverted, without_styles(without_wish))


def inverted_colour(colour: str, *, is_ground: bool) -> str:
    """A light ground or a dark text with its CIE lightness flipped around 50; anything else as it was."""
    lightness, a, b = _lab(colour)
    flips = lightness >= 50 if is_ground else lightness < 50
    if not flips:
        return colour
    return _hex(50 - 0.75 * (lightness - 50), 0.8 * a, 0.8 * b)


def _lab(colour: str) -> tuple[float, float, float]:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= _LINEAR_FROM else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    xyz = [sum(m * c for m, c in zip(row, linear, strict=True)) for row in _TO_XYZ]
    x, y, z = (_cube_root(value / white) for value, white in zip(xyz, _WHITE, strict=True))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def _cube_root(value: float) -> float:
    return value ** (1 / 3) if value > 216 / 24389 else (24389 / 27 * value + 16) / 116


def _hex(lightness: float, a: float, b: float) -> str:
    y = (lightness + 16) / 116
    powers = (y + a / 500, y, y - b / 200)
    xyz = [
        white * (p**3 if p**3 > 216 / 24389 else (116 * p - 16) * 27 / 24389)
        for p, white in zip(powers, _WHITE, strict=True)
    ]
    linear = [sum(m * v for m, v in zip(row, xyz, strict=True)) for row in _TO_RGB]
    return "#" + "".join(f"{round(255 * min(1, max(0, _encoded(max(0, c))))):02x}" for c in linear)


def _encoded(channel: float) -> float:
    return 12.92 * channel if channel <= 0.0031308 else 1.055 * channel ** (1 / 2.4) - 0.055
