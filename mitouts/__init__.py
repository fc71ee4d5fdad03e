"""mitouts: weakly supervised localization of mitotic figures, and teacher-student distillation of hard samples."""

import os

__version__ = '0.1.0'

# albumentations asks PyPI for a newer version of itself whenever it is imported, and warns where there is no network.
os.environ.setdefault('NO_ALBUMENTATIONS_UPDATE', '1')
