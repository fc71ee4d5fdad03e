"""Holds the kinds of stages, one file each, and the experiments that they make up."""

from mitouts.engine.stages.train import TrainStage  # isort: skip
from mitouts.engine.stages.distill import DistillStage  # isort: skip
from mitouts.engine.stages.base import Experiment, Stage
from mitouts.engine.stages.cascade import CascadeStage
from mitouts.engine.stages.experiment import load_experiment
from mitouts.engine.stages.propose import ProposeStage
from mitouts.engine.stages.test import TestStage

__all__ = [
    'CascadeStage',
    'DistillStage',
    'Experiment',
    'ProposeStage',
    'Stage',
    'TestStage',
    'TrainStage',
    'load_experiment',
]
