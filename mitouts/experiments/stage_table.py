"""Shows the results of a staged run at its end, as a table and a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import is_main_process
from rich.console import Console

from mitouts.engine.runs import overlay_radius_px
from mitouts.engine.stages import Experiment, Stage
from mitouts.formats.predictions import read_predictions
from mitouts.registry import DATASETS
from mitouts.structures import EvaluatedImage, ImageTruth
from mitouts.visualization.field_of_view import overlay_of, pick_examples
from mitouts.visualization.scalars import read_scalars
from mitouts.visualization.summary import write_summary
from mitouts.visualization.tables import (
    distillation_sentence,
    localization_note,
    results_markdown,
    results_table,
    tissue_table,
)


def report(experiment: Experiment, results: dict[str, Any], console: Console) -> None:
    """Print the tables of a run, and write ``results.md`` and ``summary.png`` into its work dir (rank 0).

    Both files are about figures; for a run whose models find none, only ``results.json`` is written.
    """
    if not is_main_process():
        return
    distillation = results.get('distillation')
    work_dir = experiment.work_dir
    models = results.get('models', {})
    for name, tested in models.items():
        if 'dice' in tested:
            console.print(tissue_table(name, {**tested, 'images': tested['test_images']}))
    if models and not results['stages'] and not distillation:
        console.print(f'numbers: {work_dir / "results.json"}')
        return
    console.print(results_table(results['stages'], title=f'{work_dir.name}: test images'))
    sentences = localization_note(results['stages']), distillation_sentence(distillation) if distillation else ''
    for sentence in filter(None, sentences):
        console.print(sentence)
    (work_dir / 'results.md').write_text(results_markdown(results['stages'], distillation), encoding='utf-8')
    picture = work_dir / 'summary.png'
    _write_picture(picture, experiment, results)
    console.print(f'numbers: {work_dir / "results.json"}\npicture: {picture}')


def _write_picture(path: Path, experiment: Experiment, results: dict[str, Any]) -> None:
    tested = {row['stage']: row for row in results['stages']}
    stages = [stage for stage in experiment.stages if stage.name in tested]
    records = {stage.name: read_records(stage, experiment.folder(stage.name)) for stage in stages}
    histograms = {
        name: (
            np.array([image.prediction.score for image in images]),
            np.array([image.truth.label for image in images]),
            tested[name]['image_threshold'],
        )
        for name, images in records.items()
    }
    overlays, last = [], 'nothing'
    if stages:
        last = stages[-1].name
        threshold = tested[last]['map_threshold']
        radius_px = overlay_radius_px(stages[-1].config, records[last][0].truth.mpp)
        chosen = pick_examples(records[last], threshold=threshold, radius_px=radius_px)
        overlays = [overlay_of(image, threshold=threshold, radius_px=radius_px) for image in chosen]
    write_summary(
        path,
        title=experiment.work_dir.name,
        stages=results['stages'],
        overlays=overlays,
        curves={stage.name: read_scalars(experiment.folder(stage.name)) for stage in stages if stage.kind == 'train'},
        histograms=histograms,
        distillation=results.get('distillation'),
        overlay_title=f'{last} on test images',
    )


def read_records(stage: Stage, folder: Path) -> list[EvaluatedImage]:
    """Join a tested stage's predictions with the annotations of its test set."""
    predictions = read_predictions(folder / 'predictions.json').images
    dataset = DATASETS.build({**stage.config.test_dataloader.dataset, 'pipeline': []})
    truths = (_truth(dataset.get_data_info(index)) for index in range(len(dataset)))
    return [EvaluatedImage(truth, predictions[truth.image_id]) for truth in truths]


def _truth(info: dict[str, Any]) -> ImageTruth:
    return ImageTruth(
        image_id=info['img_id'],
        case_id=info['case_id'],
        label=info['gt_label'],
        points=info['gt_points'].astype(np.float64),
        counted=info['gt_counted'],
        cut=info['gt_cut'].astype(np.float64),
        width=info['width'],
        height=info['height'],
        mpp=info['mpp'],
        path=info['img_path'],
    )
