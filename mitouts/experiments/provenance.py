"""Describes the machines and versions that results were made with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mitouts.utils.words import plural

UNKNOWN = 'not recorded'


def machine_of(environment: Mapping[str, Any]) -> str:
    """Describe a machine, such as ``CPU, 2 threads``, or an accelerator by its name.

    Args:
        environment: As in ``started.json``; empty where that is missing.
    """
    if not environment:
        return UNKNOWN
    return environment['gpu'] if environment['gpu'] != 'none' else f'CPU, {environment["threads"]} threads'


def versions_of(environment: Mapping[str, Any]) -> str:
    """Describe versions, such as ``mitouts 0.1.0 (abc1234), torch 2.13.0``."""
    if not environment:
        return UNKNOWN
    return f'mitouts {environment["mitouts"]} ({environment["git"]}), torch {environment["torch"]}'


def describe_environments(environments: Sequence[Mapping[str, Any]]) -> str:
    """Describe machines and versions in a sentence, or in several if they are mixed.

    Args:
        environments: One for each stage of each run.
    """
    if not environments:
        return ''
    machines, versions = ([tell(each) for each in environments] for tell in (machine_of, versions_of))
    return f'{_told("Machine", machines)} {_told("Versions", versions)}'


def _told(what: str, values: Sequence[str]) -> str:
    counted = Counter(values)
    if len(counted) == 1:
        return f'{what}: {values[0]}.'
    listed = '; '.join(f'{value} ({plural(count, "stage")})' for value, count in counted.most_common())
    return f'{what}, mixed: {listed}.'
