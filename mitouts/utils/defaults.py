"""Lists the defaults and choices that the command line offers and the package uses.

They are separate from the code that uses them, so that a command line can be parsed, described and completed without
loading that code and the libraries that it needs.
"""

from __future__ import annotations

from typing import Literal, get_args

RESEARCH_USE = 'for research use only'

LAUNCHERS = ('none', 'pytorch', 'slurm')

Split = Literal['train', 'val']
"""The split of the images that a distillation judges."""
SPLITS: tuple[str, ...] = get_args(Split)

PROTOCOLS = ('one_to_one', 'presence')
RADIUS_PX = 30.0
NUM_BOOTSTRAP = 2000

ROTATIONS = (1, 4)
"""Numbers of right-angle turns of an image that its score map can be averaged over."""

MEASURED_OVER = ('image', 'case', 'patch')
"""Units that the stain can be measured on: a whole image, all images of a case, or each patch by itself."""

FIGURES_PER_MM2 = 5.0
"""Assumed number of mitotic figures per mm2 of a counted slide.

In MIDOG++, human breast cancer has 5.1 per mm2 in the regions of about 2 mm2 that pathologists chose as the hottest
(median of the cases 2.7); other tumours have 5 to 36.
"""
ADAPT_BN_PRIOR = 256.0
CALIBRATION_BOOTSTRAP = 500
OBJECTIVES = ('image', 'localization')

ROI_AREA_MM2 = 1.59
ROI_AREAS_MM2 = (ROI_AREA_MM2, 2.0, 2.37)
MIN_AREA_MM2 = 1.59
FIELD_DIAMETER_MM = 0.53
"""Diameter of a high-power field of 0.22 mm2 (a 40x objective with an eyepiece of field number 21.2)."""

Rule = Literal['majority', 'unanimous', 'last']
RULES: tuple[str, ...] = get_args(Rule)
Undecided = Literal['keep', 'drop']
UNDECIDED: tuple[str, ...] = get_args(Undecided)

FIGURE_SUFFIXES = ('.png', '.svg', '.pdf')
CURVES = ('froc', 'pr', 'roc')
COUNT_BARS = ('stacked', 'grouped')
TABLE_FORMATS = ('markdown', 'csv', 'latex')

NUM_FOLDS = 5

AreaMagnification = Literal['x20', 'x10']
AREA_MAGNIFICATIONS: tuple[AreaMagnification, ...] = get_args(AreaMagnification)
"""Magnifications of the areas that frames of MITOS14 are joined into: 4 frames (x20) or 16 (x10)."""
