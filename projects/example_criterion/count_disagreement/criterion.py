"""A criterion that compares how many figures Teacher and annotators count."""

from mitouts.distillation import Criterion, Verdict
from mitouts.errors import ConfigError
from mitouts.functional.distillation import least_distance_px
from mitouts.registry import CRITERIA


@CRITERIA.register_module()
class CountDisagreement(Criterion):
    """Drops positive images in which the Teacher finds more or fewer figures than are annotated.

    Args:
        tolerance: How many more or fewer are still agreement.

    Raises:
        ConfigError: It is negative.
    """

    def __init__(self, tolerance=0):
        if tolerance < 0:
            raise ConfigError(f'CountDisagreement: tolerance must be at least 0, found {tolerance}')
        self.tolerance = tolerance

    def judge(self, image, record, *, image_threshold):
        truth, predicted = record.truth, record.prediction.points
        distance_px = least_distance_px(predicted[:, :2], truth.points, diagonal_px=truth.diagonal_px)
        if truth.label == 0:
            return Verdict(True, 'negative', distance_px)
        if not len(truth.points):
            return Verdict(True, 'no_annotation', distance_px)
        more = len(predicted) - len(truth.points)
        if abs(more) <= self.tolerance:
            return Verdict(True, 'same_count', distance_px)
        return Verdict(False, 'uncounted_figures' if more > 0 else 'fewer_figures', distance_px)
