"""Checks a protocol of whole-slide counting, so that errors show before hours of counting.

``count`` (of all slides), ``reference`` (annotated and predicted figures in one region, optional) and ``correlate`` are
the arguments of these steps (:mod:`mitouts.wsi.steps`); ``paper`` is what a publication reports.
"""

from __future__ import annotations

import dataclasses
import difflib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from mmengine.config import Config

from mitouts.errors import ConfigError
from mitouts.formats.coco import MITOTIC_FIGURE, read_coco
from mitouts.formats.slide_names import match_slides
from mitouts.functional.counting import SlideCounts
from mitouts.wsi.cohort import TABLE_STEM, CohortSlide, find_slides
from mitouts.wsi.counts import PROVENANCE_COLUMNS, ROI_AREAS_MM2
from mitouts.wsi.reference import COLUMNS, name_category
from mitouts.wsi.steps import (
    CorrelateArguments,
    CountArguments,
    ReferenceArguments,
    config_keys,
    make_arguments,
    needed_keys,
    path_keys,
)

COUNTS_DIR = 'counts'
REFERENCE_STEM = 'reference'
AGREEMENT_STEM = 'agreement'
PAPER_KEYS = ('slides', 'pearson', 'pearson_ci95', 'spearman', 'spearman_ci95')


STEPS: dict[str, type[CountArguments | ReferenceArguments | CorrelateArguments]] = {
    'count': CountArguments,
    'reference': ReferenceArguments,
    'correlate': CorrelateArguments,
}


@dataclass(frozen=True)
class Plan:
    """The steps of a protocol; ``reference`` is None where it has none."""

    count: CountArguments
    reference: ReferenceArguments | None
    correlate: CorrelateArguments


def read_protocol(config: Config) -> dict[str, dict[str, Any]]:
    """Check a protocol's keys, files and columns.

    Args:
        config: As :func:`mitouts.engine.config.load_config` returns it.

    Returns:
        Step -> its arguments, in the order in which they are run; ``paper`` where the config has it.

    Raises:
        ConfigError: A key is unknown (the nearest one is named) or missing, a file is not there, or the correlated
            columns will not be there.
        AnnotationError: The slides cannot be listed, or the annotation file cannot be used.
    """
    sections = config._cfg_dict.to_dict()
    name = config.filename or 'the protocol'
    _check_keys(sections, (*STEPS, 'paper'), str(name))
    for section in ('count', 'correlate'):
        if section not in sections:
            raise ConfigError(
                f'{name} has no {section} = dict(...); a protocol counts slides and correlates two columns'
            )
    steps = {step: _as_dict(sections[step], step) for step in STEPS if step in sections}
    for step, arguments in steps.items():
        _check_keys(arguments, config_keys(STEPS[step]), step)
        missing = [key for key in needed_keys(STEPS[step]) if arguments.get(key) in (None, '')]
        if missing:
            raise ConfigError(
                f'{name}: {step}.{missing[0]} is missing; give it by --cfg-options +{step}.{missing[0]}=...'
            )
        _check_files(step, arguments)
    paper = _as_dict(sections.get('paper', {}), 'paper')
    _check_keys(paper, PAPER_KEYS, 'paper')
    slides, _ = find_slides(Path(str(steps['count']['slides'])))
    _check_columns(steps, slides)
    if 'reference' in steps:
        _check_annotations(steps['reference'], slides)
    return {**steps, **({'paper': paper} if paper else {})}


def plan(
    protocol: Mapping[str, Mapping[str, Any]],
    out: Path,
    given: Mapping[str, Any] | None = None,
    *,
    resume: bool = False,
) -> Plan:
    """Turn a protocol into the arguments of its steps.

    Args:
        protocol: Protocol as returned by :func:`read_protocol`.
        out: Output folder of all steps.
        given: Options of ``count`` that take the place of the config's; None is no option.
        resume: Go on where an earlier run stopped.

    Raises:
        ConfigError: A value cannot be read.
    """
    counts, reference = out / COUNTS_DIR, out / f'{REFERENCE_STEM}.csv'
    table = reference if 'reference' in protocol else counts / f'{TABLE_STEM}.csv'
    options = {key: value for key, value in (given or {}).items() if value is not None}
    of_reference = {**protocol.get('reference', {}), 'counts': counts, 'out': reference}
    of_correlate = {
        **protocol['correlate'],
        'table': table,
        'out': out / f'{AGREEMENT_STEM}.json',
        'plot': out / f'{AGREEMENT_STEM}.png',
    }
    return Plan(
        make_arguments(CountArguments, 'count', {**protocol['count'], **options, 'out': counts, 'resume': resume}),
        make_arguments(ReferenceArguments, 'reference', of_reference) if 'reference' in protocol else None,
        make_arguments(CorrelateArguments, 'correlate', of_correlate),
    )


def count_columns(roi_areas_mm2: Iterable[float] = ROI_AREAS_MM2) -> list[str]:
    """List the columns of ``counts.csv`` beside those of the list of slides."""
    columns = ['slide', 'status']
    for field in dataclasses.fields(SlideCounts):
        if field.name == 'excluded_because':
            continue
        is_interval = field.name.endswith('_ci95')
        columns += [f'{field.name}_low', f'{field.name}_high'] if is_interval else [field.name]
    for area in roi_areas_mm2:
        columns += [f'hotspot_{area:g}_mm2_count', f'hotspot_{area:g}_mm2_per_mm2']
    return [*columns, 'counted_area_from', 'mpp', 'remark', *PROVENANCE_COLUMNS]


def _as_dict(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f'{name}: expected dict(...), found {value!r}')
    return value


def _check_keys(section: Mapping[str, Any], known: Iterable[str], name: str) -> None:
    known = list(known)
    for key in section:
        if key not in known:
            nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
            raise ConfigError(
                f'{name}: unknown key {key!r}; the nearest is {nearest[0]!r}. Known are {", ".join(known)}'
            )


def _check_files(step: str, arguments: Mapping[str, Any]) -> None:
    for key in path_keys(STEPS[step]):
        value = arguments.get(key)
        if value is None:
            continue
        path = Path(str(value))
        # Only the slides may be a folder.
        if not (path.exists() if key == 'slides' else path.is_file()):
            raise ConfigError(f'{step}.{key}: {path} does not exist; give it by --cfg-options {step}.{key}=PATH')


def _check_columns(steps: Mapping[str, Mapping[str, Any]], slides: Sequence[CohortSlide]) -> None:
    """Check before the counting that the columns to correlate will exist after it."""
    areas = steps['count'].get('roi_mm2') or ROI_AREAS_MM2
    table, known = 'the table of counts', count_columns([areas] if isinstance(areas, (int, float)) else areas)
    if 'reference' in steps:
        table, known = 'the table of regions', [*COLUMNS, *PROVENANCE_COLUMNS]
    else:
        own = list(dict.fromkeys(column for slide in slides for column in slide.columns))
        asked = {steps['correlate'].get(key) for key in ('x', 'y', 'by')}
        both = [column for column in own if column in known and column in asked]
        if both:
            raise ConfigError(
                f'{steps["count"]["slides"]}: the column {both[0]!r} has the name of a count, so correlate would not '
                f'compare it but the one in {table}; rename it, for instance to pathologist_{both[0]}'
            )
        known += [f'given_{column}' if column in known else column for column in own]
    for key in ('x', 'y', 'by'):
        column = steps['correlate'].get(key)
        if column is not None and column not in known:
            nearest = difflib.get_close_matches(str(column), known, n=1, cutoff=0.0)[0]
            raise ConfigError(
                f'correlate.{key}: {table} will have no column {column!r}; the nearest is {nearest!r}. It will have '
                f'{", ".join(known)}'
            )


def _check_annotations(arguments: Mapping[str, Any], slides: Sequence[CohortSlide]) -> None:
    """Check before the counting that the annotations are of the slides to count."""
    with warnings.catch_warnings():
        # The step itself tells them.
        warnings.simplefilter('ignore')
        document = read_coco(arguments['annotations'])
    category = arguments.get('category')
    name_category(document, MITOTIC_FIGURE if category is None else category)
    names = [image['file_name'] for image in document['images']]
    if not any(match_slides(names, [slide.path.as_posix() for slide in slides])):
        raise ConfigError(
            f'{arguments["annotations"]} has annotations of none of the {len(slides)} slides; they are of '
            f'{PurePath(document["images"][0]["file_name"]).name} and others, the first slide is {slides[0].path.name}'
        )
