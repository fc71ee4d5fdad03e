"""Renders H&E fields with mitotic figures and look-alikes: data for a demo and for tests on any machine."""

from mitouts.synthetic.optics import SCANNERS, Scanner
from mitouts.synthetic.phantom.field import PhantomCase, PhantomConfig, PhantomField, draw_case, make_field
from mitouts.synthetic.phantom.figures import FIGURE_KINDS
from mitouts.synthetic.phantom.nuclei import LOOK_ALIKE_KINDS

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
