"""Training and testing: hooks, runner, stages."""

from mitouts.engine import hooks

__all__ = ['hooks']
