"""Importing this package registers the criterion."""

from count_disagreement.criterion import CountDisagreement

__all__ = ['CountDisagreement']
