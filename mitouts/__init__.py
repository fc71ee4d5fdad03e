"""mitouts: weakly supervised localization of mitotic figures, and teacher-student distillation of hard samples."""

__version__ = '0.1.0'
