"""Acts at certain moments of a training or a test."""

from mitouts.engine.hooks.batch_norm import BatchNormMeanHook, FrozenBatchNormHook
from mitouts.engine.hooks.calibration import CalibrationHook
from mitouts.engine.hooks.checkpoint import CheckpointHook
from mitouts.engine.hooks.clock import TrainingClockHook
from mitouts.engine.hooks.ema_teacher import EMATeacherHook
from mitouts.engine.hooks.nan_guard import NonFiniteLossHook
from mitouts.engine.hooks.progress import ProgressHook
from mitouts.engine.hooks.seed import EpochSeedHook
from mitouts.engine.hooks.tissue_calibration import TissueCalibrationHook
from mitouts.engine.hooks.training_distance import TrainingDistanceHook

__all__ = [
    'BatchNormMeanHook',
    'CalibrationHook',
    'CheckpointHook',
    'EMATeacherHook',
    'EpochSeedHook',
    'FrozenBatchNormHook',
    'NonFiniteLossHook',
    'ProgressHook',
    'TissueCalibrationHook',
    'TrainingClockHook',
    'TrainingDistanceHook',
]
