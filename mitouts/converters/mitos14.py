"""Reads the mitoses of MITOS-ATYPIA 2014: frames at x40 of breast biopsies, each under two scanners.

A frame has two csv files with rows ``x,y,confidence``: ``<frame>_mitosis.csv`` and, of look-alikes,
``<frame>_not_mitosis.csv``. ``A03_00Aa`` is quarter ``a`` of frame ``00A`` of slide ``A03``; slide ``H03`` is the same
biopsy under the other scanner.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from mitouts.converters.base import Converter
from mitouts.errors import AnnotationError
from mitouts.formats.archive import read_files, read_rows, walk
from mitouts.formats.coco import HARD_NEGATIVE, MITOTIC_FIGURE
from mitouts.formats.source import SourceFigure, SourceImage, SourceSet
from mitouts.formats.splits import Partition, WithinCasePartition, numbered
from mitouts.registry import CONVERTERS

_LABELS = re.compile(r'([AH]\d{2}_\d{2}[A-D][a-d])_(not_)?mitosis', re.ASCII)
_FRAME = re.compile(r'[AH]\d{2}_\d{2}[A-D][a-d]', re.ASCII)


@dataclass(frozen=True)
class Scanner:
    """One of the two scanners, with its frames' size in pixels and the published um/px along x and y."""

    name: str
    width: int
    height: int
    mpp_xy: tuple[float, float]

    @property
    def mpp(self) -> float:
        """Mean of both directions; they differ by 0.1 % at most."""
        return sum(self.mpp_xy) / 2


SCANNERS = {
    'A': Scanner('Aperio', 1539, 1376, (0.2455, 0.2455)),
    'H': Scanner('Hamamatsu', 1663, 1485, (0.2275, 0.2273)),
}


# Some Hamamatsu frames are a pixel narrower than the others, and a few points lie a pixel outside of their frame.
SIZE_TOLERANCE_PX = 2
EDGE_PX = 1.0

PAPER = Partition(numbered((3,), 2), numbered((4,), 2), 'UTS paper')
# Balanced by the mitoses of the Hamamatsu frames that hold any: 135, 167, 60, 58 and 59.
FOLDS = ((3, 12), (5, 11), (7, 18), (10, 14), (15, 17))


def biopsy_frame(file_name: str) -> str:
    """Return the name of a frame under the Hamamatsu scanner, which stands for both: they show one tissue."""
    return f'H{PurePosixPath(file_name).stem[1:]}'


def _within_cases(test: Iterable[int], left_out: Iterable[int], source: str) -> WithinCasePartition:
    return WithinCasePartition(
        frozenset(), numbered(test, 2), source, left_out=numbered(left_out, 2), val_share=0.2, key=biopsy_frame
    )


@CONVERTERS.register_module('mitos14')
class Mitos14(Converter):
    """MITOS14: the mitosis labels of MITOS-ATYPIA 2014, csv files of frames.

        mitouts convert mitos14 mitos14 --image-root mitos14 --out data/mitos14.json

    SRC holds the csv files of frames at x40 with rows ``x,y,confidence``, and DIR their images, as the challenge lays
    them out (other trees with the same file names do as well; frames at x10 and x20 are passed over):

        SRC/A03/mitosis/A03_00Aa_mitosis.csv
        SRC/A03/mitosis/A03_00Aa_not_mitosis.csv
        DIR/A03/frames/x40/A03_00Aa.tiff

    Frames in DIR without a csv are negative, unless their slide has no csv at all. Slides A03 (Aperio) and H03
    (Hamamatsu) are one biopsy, and so one case.

    ``--split fold:0`` to ``fold:4`` are five folds of cross-validation that leave case 04 out: each tests two cases,
    and of every other case a fifth of the frames validate (within-case validation). ``final`` trains on the ten cases
    in the same way and tests on case 04. ``official`` is another name of ``paper``.
    """

    src = 'folder, .zip or .tar.gz of the csv files'
    partitions = {
        'mitos14': {
            'paper': PAPER,
            'official': PAPER,
            **{
                f'fold:{fold}': _within_cases(cases, (4,), f'fold {fold} of five by case, without case 04')
                for fold, cases in enumerate(FOLDS)
            },
            'final': _within_cases((4,), (), 'all cases but 04, the test'),
        }
    }

    def read(self, src: Path, *, image_root: Path | None = None, mpp: float | None = None) -> SourceSet:
        notes: list[str] = []
        frames = _read_labels(src, notes)
        names = {frame: f'{frame[:3]}/frames/x40/{frame}.tiff' for frame in frames}
        if image_root is not None:
            names |= _find_images(image_root, frames, notes)
        figures = [figure for frame in sorted(frames) for figure in _unique(frames[frame], names[frame], notes)]
        notes += _remarks(src, frames, names, figures)
        images = []
        # The csv state no size, and not all frames of a scanner have the same.
        size = {'size_known': False} if image_root is None else {}
        for frame, name in sorted(names.items()):
            scanner = SCANNERS[frame[0]]
            images.append(
                SourceImage(
                    name,
                    frame[1:3],
                    scanner.width,
                    scanner.height,
                    scanner.mpp,
                    extra={'scanner': scanner.name, **size},
                    size_from=f'frames of the {scanner.name} scanner have',
                    size_tolerance_px=SIZE_TOLERANCE_PX,
                )
            )
        return SourceSet('MITOS14', 'mitos14', images, figures, notes, edge_px=EDGE_PX)


@dataclass
class _Frame:
    """The csv files of a frame, and the figures in them."""

    files: dict[int, str] = field(default_factory=dict)
    figures: list[SourceFigure] = field(default_factory=list)


def _read_labels(src: Path, notes: list[str]) -> dict[str, _Frame]:
    frames: dict[str, _Frame] = {}
    others: list[str] = []
    for name, text in read_files(src, '.csv').items():
        match = _LABELS.fullmatch(PurePosixPath(name).stem)
        if match is None:
            others.append(name)
            continue
        category_id = HARD_NEGATIVE if match[2] else MITOTIC_FIGURE
        frame = frames.setdefault(match[1], _Frame())
        where = f'{src}: {name}'
        if category_id in frame.files:
            raise AnnotationError(f'{where}: is elsewhere as well, as {frame.files[category_id]}; give one of both')
        frame.files[category_id] = name
        frame.figures += _read_figures(match[1], text, category_id, where)
    if not frames:
        listing = f'found {", ".join(others[:5])}' if others else 'found no csv'
        raise AnnotationError(
            f'{src}: expected <frame>_mitosis.csv and <frame>_not_mitosis.csv of x40 frames, such as '
            f'A03_00Aa_mitosis.csv, {listing}'
        )
    if others:
        notes.append(f'passed over {len(others)} csv files that are no mitosis labels, the first is {others[0]}')
    return frames


def _read_figures(frame: str, text: str, category_id: int, where: str) -> Iterable[SourceFigure]:
    for line, (x, y, confidence) in read_rows(text, ('x', 'y', 'confidence'), where):
        if confidence > 1:
            raise AnnotationError(f'{where}: line {line}: expected a confidence from 0 to 1, found {confidence:g}')
        yield SourceFigure(frame, x, y, category_id, {'confidence': confidence})


def _unique(frame: _Frame, file_name: str, notes: list[str]) -> list[SourceFigure]:
    """Assign figures to their image, without those that occur twice in one file."""
    first: dict[tuple[float, float, int], SourceFigure] = {}
    for figure in frame.figures:
        key = (figure.x, figure.y, figure.category_id)
        first.setdefault(key, SourceFigure(file_name, *key, figure.extra))
    repeated = len(frame.figures) - len(first)
    if repeated:
        notes.append(f'left out {repeated} rows of {PurePosixPath(file_name).stem} that stand twice in their file')
    return list(first.values())


def _find_images(root: Path, frames: Mapping[str, _Frame], notes: list[str]) -> dict[str, str]:
    """Return the image file of every frame, except frames of slides without labels."""
    files: dict[str, str] = {}
    for name in walk(root):
        frame = PurePosixPath(name).stem
        # A frame at x20 is A03_00A, one at x10 A03_00.
        if not _FRAME.fullmatch(frame):
            continue
        if frame in files:
            raise AnnotationError(f'{root}: holds two images of frame {frame}: {files[frame]} and {name}')
        files[frame] = name
    slides = {frame[:3] for frame in frames}
    unlabelled = [frame for frame in files if frame[:3] not in slides]
    if unlabelled:
        listed = ', '.join(sorted({frame[:3] for frame in unlabelled}))
        notes.append(
            f'left out {len(unlabelled)} frames of slides that have no csv at all, so are unlabelled: {listed}'
        )
    negative = [frame for frame in files if frame[:3] in slides and frame not in frames]
    if negative:
        notes.append(
            f'{len(negative)} frames have no csv, other frames of their slides do: they are taken as frames without '
            f'figures; the first is {min(negative)}'
        )
    return {frame: name for frame, name in files.items() if frame[:3] in slides}


def _remarks(
    src: Path, frames: Mapping[str, _Frame], names: Mapping[str, str], figures: Iterable[SourceFigure]
) -> list[str]:
    notes = []
    for category_id, ending in ((MITOTIC_FIGURE, 'mitosis'), (HARD_NEGATIVE, 'not_mitosis')):
        without = sorted(frame for frame, entry in frames.items() if category_id not in entry.files)
        if without:
            notes.append(
                f'{len(without)} of {len(frames)} labelled frames have no _{ending}.csv, and count as without such '
                f'figures; the first is {without[0]}'
            )
    doubtful = [
        figure for figure in figures if (figure.extra['confidence'] < 0.5) == (figure.category_id == MITOTIC_FIGURE)
    ]
    if doubtful:
        notes.append(
            f'{len(doubtful)} figures have a confidence below 0.5 as mitoses, or from 0.5 as look-alikes; the files '
            f'decide, not the confidence; the first is in {PurePosixPath(doubtful[0].file_name).stem}'
        )
    both = sorted({name[1:3] for name in names if name[0] == 'A'} & {name[1:3] for name in names if name[0] == 'H'})
    if both:
        notes.append(
            f'{len(both)} biopsies are there under both scanners (A and H) and share a case_id: {", ".join(both)}; '
            'an interval over cases knows them as one'
        )
    if any(name[0] == 'H' for name in names):
        x, y = SCANNERS['H'].mpp_xy
        notes.append(f'Hamamatsu frames have {x:g} x {y:g} um/px, the mean {SCANNERS["H"].mpp:g} is used')
    notes.append('coordinates are taken as 0-based, x before y; the files do not say so')
    return notes
