"""Synthetic H&E fields with mitotic figures and look-alikes: data for a demo and for tests on any machine."""

from mitouts.datasets.phantom.field import PhantomCase, PhantomConfig, PhantomField, draw_case, make_field
from mitouts.datasets.phantom.figures import FIGURE_KINDS
from mitouts.datasets.phantom.nuclei import LOOK_ALIKE_KINDS
from mitouts.datasets.phantom.scanners import SCANNERS, Scanner

__all__ = [
    'FIGURE_KINDS',
    'LOOK_ALIKE_KINDS',
    'SCANNERS',
    'PhantomCase',
    'PhantomConfig',
    'PhantomField',
    'Scanner',
    'draw_case',
    'make_field',
]
