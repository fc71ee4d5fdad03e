"""Gathers the results of a protocol's steps, and formats what a paper reports."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mitouts import __version__
from mitouts.formats.coco import read_json
from mitouts.utils.words import plural
from mitouts.wsi.cohort import TABLE_STEM
from mitouts.wsi.counts import RESEARCH_USE
from mitouts.wsi.protocol import AGREEMENT_STEM, COUNTS_DIR, REFERENCE_STEM, Plan


def gather_results(config: Path, protocol: Mapping[str, Any], out: Path, steps: Plan) -> dict[str, Any]:
    """Gather the results of all steps in one document."""
    results: dict[str, Any] = {
        'protocol': config.stem,
        'software': f'mitouts {__version__}',
        'use': RESEARCH_USE,
        'config': dict(protocol),
        'arguments': {name: texts(arguments) for name, arguments in vars(steps).items() if arguments is not None},
        'count': read_json(out / COUNTS_DIR / f'{TABLE_STEM}.json'),
    }
    if 'reference' in protocol:
        results['reference'] = read_json(out / f'{REFERENCE_STEM}.json')
    return {**results, 'correlate': read_json(out / f'{AGREEMENT_STEM}.json')}


def texts(arguments: Any) -> dict[str, Any]:
    """Return the arguments that have a value, ready for JSON."""
    given = {key: value for key, value in dataclasses.asdict(arguments).items() if value is not None}
    return {key: str(value) if isinstance(value, Path) else value for key, value in given.items()}


def in_words(paper: Mapping[str, Any]) -> str:
    """Format the correlations that a publication reports, in a line."""
    parts = []
    for key, label in (('pearson', 'Pearson r'), ('spearman', 'Spearman rho')):
        if paper.get(key) is not None:
            interval = paper.get(f'{key}_ci95')
            between = '' if interval is None else ' ({:.3f} to {:.3f})'.format(*interval)
            parts.append(f'{label} {paper[key]:.3f}{between}')
    if paper.get('slides') is not None:
        parts.append(plural(paper['slides'], 'slide'))
    return ', '.join(parts)
