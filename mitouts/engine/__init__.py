"""Trains and tests: configs, stages of an experiment, hooks, several processes."""

from mitouts.engine import hooks

__all__ = ['hooks']
