"""Defines the colours of all pictures; they differ for colour-blind readers and, by lightness, in grey print."""

from __future__ import annotations

from typing import Literal

RGB = tuple[int, int, int]
Dash = Literal['-', '--', '-.', ':']

TRUE_POSITIVE: RGB = (0, 224, 96)
MISSED: RGB = (48, 124, 255)
FALSE_POSITIVE: RGB = (255, 222, 0)
ANNOTATED: RGB = (0, 229, 255)
PREDICTED: RGB = (0, 229, 255)
POSITIVE_FRAME: RGB = (213, 94, 0)
OUTLINE: RGB = (16, 16, 24)
PAPER: RGB = (255, 255, 255)
INK: RGB = (32, 32, 40)
FAINT_INK: RGB = (112, 112, 122)

# Okabe and Ito's order without yellow, which is too light for a thin line on white.
LINE_COLOURS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#56B4E9', '#E69F00', '#000000')
LINE_STYLES: tuple[Dash, ...] = ('-', '--', '-.', ':')
LINE_MARKERS = ('o', 's', '^', 'D', 'v', 'P', 'X')

POSITIVE_CLASS = '#D55E00'
NEGATIVE_CLASS = '#0072B2'
KEPT = '#56B4E9'
DROPPED = '#E69F00'


def css(colour: RGB) -> str:
    """Return the colour as ``#rrggbb``.

    >>> css((255, 0, 16))
    '#ff0010'
    """
    return '#{:02x}{:02x}{:02x}'.format(*colour)


def lighter(colour: RGB) -> RGB:
    """Mix a colour half and half with white, for text on dark ground."""
    red, green, blue = ((value + 255) // 2 for value in colour)
    return red, green, blue
