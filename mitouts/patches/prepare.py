"""Cuts the images of an annotation file into patches with annotation files of their own."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mitouts.errors import MitoutsError
from mitouts.formats import coco
from mitouts.formats.provenance import read_earlier
from mitouts.patches import worker
from mitouts.patches.documents import TOOL, make_documents, split_names
from mitouts.patches.images import ImagePlan, Options, plan_images
from mitouts.registry import SLIDE_READERS, STAIN_NORMALIZERS, modules_from_outside
from mitouts.stain import NormalizerChain
from mitouts.utils.files import file_sha256
from mitouts.utils.journal import Journal

JOURNAL_NAME = '.progress.jsonl'
_JOBS_PER_WORKER = 3


@dataclass(frozen=True)
class Summary:
    """Summary of the patches that a run made.

    Attributes:
        files: Annotation files, by split.
        unchanged: Patches whose stain could not be normalized.
        figures: Annotated figures that the patches count.
        lost: Annotated figures that no patch holds.
    """

    files: Mapping[str, Path]
    patches: int
    skipped: int
    unchanged: int
    figures: int
    lost: int


Progress = Callable[[str, int, int], None]
"""Function called with the name of the task, the number of finished steps, and the total number of steps."""


def prepare(
    ann_file: Path,
    image_root: Path | None,
    out: Path,
    options: Options,
    normalizer: NormalizerChain | None,
    *,
    workers: int = 1,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Summary | None:
    """Write patches ``OUT/images/IMAGE/X_Y.png`` and ``OUT/SPLIT.json``.

    A run that was killed is continued by the next one. Memory is bounded by a row of patches in each process.

    Args:
        image_root: Folder of the images; None to use the one named in the annotation file.
        workers: Number of processes; it does not affect the result.

    Returns:
        Summary of the run; None if ``out`` is already complete and was made with these arguments.

    Raises:
        MitoutsError: ``out`` holds something else; and see :func:`plan_images`.
    """
    document, plans = plan_images(ann_file, image_root, options)
    description = None if normalizer is None else normalizer.describe()
    stamp = {**options.stamp(), 'stain': description, 'annotations': file_sha256(ann_file)}
    stamp['images'] = {plan.folder: [plan.path.stat().st_size, plan.path.stat().st_mtime_ns] for plan in plans}
    files = {split: out / f'{split}.json' for split in split_names(document)}
    if _is_complete(out, files, stamp, overwrite):
        return None
    journal_path = out / JOURNAL_NAME
    if overwrite and journal_path.exists():
        journal_path.unlink()
        shutil.rmtree(out / 'images', ignore_errors=True)
    with Journal(journal_path, stamp) as journal:
        settings = worker.PatchSettings(str(out), json.dumps(description), options)
        with _runner(workers) as run_all:
            fits = _fit_images(settings, plans, journal, run_all, progress) if normalizer else {}
            _write_rows(settings, plans, fits, journal, run_all, progress)
        documents, counts = make_documents(document, plans, journal.steps, stamp, description, options)
    root = coco.image_root(ann_file, document, None if image_root is None else str(image_root)).resolve()
    for split, made in documents.items():
        # Relative to the patches, so that both folders may move together.
        made['info']['mitouts']['source_root'] = Path(os.path.relpath(root, out.resolve())).as_posix()
        coco.write_json(files[split], made)
    journal_path.unlink()
    return Summary(files, **counts, lost=sum(plan.lost for plan in plans))


def _is_complete(out: Path, files: Mapping[str, Path], stamp: Mapping[str, Any], overwrite: bool) -> bool:
    there = [path for path in files.values() if path.exists()]
    wanted = json.loads(json.dumps(stamp))
    complete = len(there) == len(files)
    if not there and not (out / JOURNAL_NAME).exists() and any((out / 'images').glob('*')):
        raise MitoutsError(f'{out / "images"} holds files that are not of this tool; choose another --out')
    for path in there:
        made = read_earlier(path, TOOL, wanted, overwrite=overwrite)
        complete &= made is not None and all((out / image['file_name']).is_file() for image in made['images'])
    if not complete and there:
        # An annotation file must never name patches that are about to change.
        for path in there:
            path.unlink()
        if overwrite:
            shutil.rmtree(out / 'images', ignore_errors=True)
    return complete


RunAll = Callable[[Callable[..., dict[str, Any]], Iterable[tuple[Any, ...]]], Iterator[dict[str, Any]]]


@contextlib.contextmanager
def _runner(workers: int) -> Iterator[RunAll]:
    """Provide a function that runs jobs in this process, or in several that each have only a few jobs waiting."""
    if workers == 1:
        yield lambda job, arguments: (job(*each) for each in arguments)
        return
    context = multiprocessing.get_context('spawn')
    modules = modules_from_outside(SLIDE_READERS, STAIN_NORMALIZERS)
    with ProcessPoolExecutor(workers, mp_context=context, initializer=worker.start, initargs=(modules,)) as pool:

        def run_all(
            job: Callable[..., dict[str, Any]], arguments: Iterable[tuple[Any, ...]]
        ) -> Iterator[dict[str, Any]]:
            waiting: set[Future[dict[str, Any]]] = set()
            for each in arguments:
                waiting.add(pool.submit(job, *each))
                if len(waiting) >= workers * _JOBS_PER_WORKER:
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)

        try:
            yield run_all
        finally:
            pool.shutdown(cancel_futures=True)


def _fit_images(
    settings: worker.PatchSettings,
    plans: Sequence[ImagePlan],
    journal: Journal,
    run_all: RunAll,
    progress: Progress | None,
) -> dict[int, Any]:
    if settings.options.fit == 'patch':
        return {}
    fits = {image_id: step['fit'] for step in journal.steps if 'fit' in step for image_id in step['image_ids']}
    groups: dict[Any, list[worker.Source]] = {}
    for plan in plans:
        if plan.entry['id'] not in fits:
            key = plan.entry['case_id'] if settings.options.fit == 'case' else plan.entry['id']
            groups.setdefault(key, []).append(_source(plan))
    for step in run_all(worker.fit_images, ((settings, group) for group in groups.values())):
        journal.add(step)
        fits |= dict.fromkeys(step['image_ids'], step['fit'])
        if progress:
            progress('stain', len(fits), len(plans))
    return fits


def _write_rows(
    settings: worker.PatchSettings,
    plans: Sequence[ImagePlan],
    fits: Mapping[int, Any],
    journal: Journal,
    run_all: RunAll,
    progress: Progress | None,
) -> None:
    total = sum(len(plan.grid) for plan in plans)
    finished = {(step['image_id'], step['y']): step for step in journal.steps if 'y' in step}
    done = sum(len(step['written']) + len(step['skipped']) for step in finished.values())
    if progress:
        progress('patches', done, total)
    rows = (row for plan in plans for row in _rows(plan, fits) if (row.source.image_id, row.y) not in finished)
    for step in run_all(worker.write_row, ((settings, row) for row in rows)):
        journal.add(step)
        done += len(step['written']) + len(step['skipped'])
        if progress:
            progress('patches', done, total)


def _rows(plan: ImagePlan, fits: Mapping[int, Any]) -> Iterator[worker.PatchRow]:
    columns, fit = plan.grid.columns_px.tolist(), fits.get(plan.entry['id'])
    for y in plan.grid.rows_px.tolist():
        keep = frozenset(left for left, top in plan.figures if top == y)
        yield worker.PatchRow(_source(plan), plan.folder, y, columns, keep, fit)


def _source(plan: ImagePlan) -> worker.Source:
    return worker.Source(plan.entry['id'], str(plan.path), plan.entry['mpp'])
