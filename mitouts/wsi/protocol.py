"""A protocol of whole-slide counting as a config: its steps, checked before hours are spent on the first one.

``count`` (of all slides), ``reference`` (annotated and predicted figures in one region, optional) and ``correlate`` are
the arguments of these commands, with underscores; ``paper`` is what a publication reports.
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

COUNTS_DIR = 'counts'
REFERENCE_STEM = 'reference'
AGREEMENT_STEM = 'agreement'
PAPER_KEYS = ('slides', 'pearson', 'pearson_ci95', 'spearman', 'spearman_ci95')


@dataclass(frozen=True)
class Tool:
    """A command that is a step.

    Attributes:
        command: Its module in ``mitouts.commands``.
        source: Key of its first argument, a file or folder.
        files: Keys of further arguments that are files.
        options: Keys of all other arguments that a config may give; the rest is given by the protocol's run.
        needed: Keys that a config must give.
    """

    command: str
    source: str | None
    files: tuple[str, ...]
    options: tuple[str, ...]
    needed: tuple[str, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """All keys that a config may give."""
        return (*([self.source] if self.source else []), *self.files, *self.options)


TOOLS = {
    'count': Tool(
        'count',
        'slides',
        ('checkpoint', 'tissue', 'roi'),
        (
            'roi_class',
            'mpp',
            'threshold',
            'roi_mm2',
            'field_diameter_mm',
            'min_area_mm2',
            'device',
            'half',
            'workers',
            'batch',
            'tile_px',
        ),
        ('slides', 'checkpoint'),
    ),
    'reference': Tool('reference_hotspots', 'annotations', (), ('area_mm2', 'category'), ('annotations',)),
    'correlate': Tool('correlate', None, (), ('x', 'y', 'by', 'num_bootstrap', 'seed'), ('x', 'y')),
}


@dataclass(frozen=True)
class Step:
    """A step as it is run.

    Attributes:
        name: ``count``, ``reference`` or ``correlate``.
        command: Its module in ``mitouts.commands``.
        arguments: Its command line.
    """

    name: str
    command: str
    arguments: tuple[str, ...]


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
    _check_keys(sections, (*TOOLS, 'paper'), str(name))
    for section in ('count', 'correlate'):
        if section not in sections:
            raise ConfigError(
                f'{name} has no {section} = dict(...); a protocol counts slides and correlates two columns'
            )
    steps = {step: _as_dict(sections[step], step) for step in TOOLS if step in sections}
    for step, arguments in steps.items():
        _check_keys(arguments, TOOLS[step].keys, step)
        missing = [key for key in TOOLS[step].needed if arguments.get(key) in (None, '')]
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
) -> list[Step]:
    """Turn a protocol into command lines.

    Args:
        protocol: Of :func:`read_protocol`.
        out: Output folder of all steps.
        given: Options of ``count`` that take the place of the config's; None is no option.
        resume: Go on where an earlier run stopped.
    """
    counts, reference = out / COUNTS_DIR, out / f'{REFERENCE_STEM}.csv'
    table = reference if 'reference' in protocol else counts / f'{TABLE_STEM}.csv'
    count = {**protocol['count'], **{key: value for key, value in (given or {}).items() if value is not None}}
    arguments: dict[str, Mapping[str, Any]] = {
        'count': {**count, 'out': counts, 'resume': resume},
        'reference': {**protocol.get('reference', {}), 'counts': counts, 'out': reference},
        'correlate': {
            **protocol['correlate'],
            'out': out / f'{AGREEMENT_STEM}.json',
            'plot': out / f'{AGREEMENT_STEM}.png',
        },
    }
    sources = {'correlate': [str(table)]}
    return [
        Step(name, TOOLS[name].command, (*sources.get(name, []), *_command_line(name, arguments[name])))
        for name in TOOLS
        if name in protocol
    ]


def count_columns(roi_areas_mm2: Iterable[float] = ROI_AREAS_MM2) -> list[str]:
    """Columns of ``counts.csv`` beside those of the list of slides."""
    columns = ['slide', 'status']
    for field in dataclasses.fields(SlideCounts):
        if field.name == 'excluded_because':
            continue
        is_interval = field.name.endswith('_ci95')
        columns += [f'{field.name}_low', f'{field.name}_high'] if is_interval else [field.name]
    for area in roi_areas_mm2:
        columns += [f'hotspot_{area:g}_mm2_count', f'hotspot_{area:g}_mm2_per_mm2']
    return [*columns, 'counted_area_from', 'mpp', 'remark', *PROVENANCE_COLUMNS]


def _command_line(step: str, arguments: Mapping[str, Any]) -> list[str]:
    source = TOOLS[step].source
    line = [str(arguments[source])] if source else []
    for key, value in arguments.items():
        option = f'--{key.replace("_", "-")}'
        if key == source or value is None or value is False:
            continue
        if value is True:
            line.append(option)
        elif isinstance(value, (list, tuple)):
            line += [option, *map(str, value)]
        elif isinstance(value, (str, int, float, Path)):
            # In one word, because a value may begin with a dash.
            line.append(f'{option}={value}')
        else:
            raise ConfigError(f'{step}.{key}: expected a number, text, or a list of them, found {value!r}')
    return line


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
    source = TOOLS[step].source
    for key in (*([source] if source else []), *TOOLS[step].files):
        value = arguments.get(key)
        if value is None:
            continue
        path = Path(str(value))
        # Only the slides may be a folder.
        if not (path.exists() if key == 'slides' else path.is_file()):
            raise ConfigError(f'{step}.{key}: {path} does not exist; give it by --cfg-options {step}.{key}=PATH')


def _check_columns(steps: Mapping[str, Mapping[str, Any]], slides: Sequence[CohortSlide]) -> None:
    """Say before the counting which column will be missing after it."""
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
    """Say before the counting that its counts could not be compared with the annotations."""
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
