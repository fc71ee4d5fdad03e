"""Reads points out of predictions, chooses thresholds and computes metrics, over :mod:`mitouts.functional`."""

from mitouts.evaluation.base import Metric, ThresholdSelector
from mitouts.evaluation.coco_boxes import CocoBoxMetric
from mitouts.evaluation.dice import DiceMetric, TissueEvaluator, TissueMetric, TissueRecord
from mitouts.evaluation.evaluator import LocalizationEvaluator
from mitouts.evaluation.metrics import CentroidMetric, ImageMetric
from mitouts.evaluation.thresholds import ClosestCornerThreshold, FixedThreshold, MaxF1Threshold, YoudenThreshold

__all__ = [
    'CentroidMetric',
    'ClosestCornerThreshold',
    'CocoBoxMetric',
    'DiceMetric',
    'FixedThreshold',
    'ImageMetric',
    'LocalizationEvaluator',
    'MaxF1Threshold',
    'Metric',
    'ThresholdSelector',
    'TissueEvaluator',
    'TissueMetric',
    'TissueRecord',
    'YoudenThreshold',
]
