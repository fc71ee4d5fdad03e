from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from image_records import evaluated
from outside import ROOT, found_in
from tiny_experiment import write_tiny

from mitouts.engine import runs
from mitouts.engine.config import load_config
from mitouts.engine.stages import load_experiment
from mitouts.errors import ConfigError
from mitouts.formats.coco import read_coco
from mitouts.registry import CRITERIA
from mitouts.review.items import build_items

PROJECT = Path(__file__).resolve().parents[1]
CRITERION = "distillation.criterion={'type': 'CountDisagreement'}"


@pytest.fixture(autouse=True)
def _on_path() -> Iterator[None]:
    with found_in(PROJECT, 'count_disagreement'):
        yield


@pytest.mark.parametrize(
    ('label', 'predicted', 'annotated', 'keep', 'reason'),
    [
        (0, 2, 0, True, 'negative'),
        (1, 2, 0, True, 'no_annotation'),
        (1, 2, 2, True, 'same_count'),
        (1, 3, 2, True, 'same_count'),
        (1, 4, 2, False, 'uncounted_figures'),
        (1, 0, 2, False, 'fewer_figures'),
    ],
)
def test_verdicts(label: int, predicted: int, annotated: int, keep: bool, reason: str) -> None:
    load_config(PROJECT / 'configs' / 'uts_counts_phantom.py')
    criterion = CRITERIA.build(dict(type='CountDisagreement', tolerance=1))
    found, truth = ([[2.0 * number, 2.0 * number + 1] for number in range(count)] for count in (predicted, annotated))
    record = evaluated(1, truth, [[*xy, 0.9] for xy in found], label=label, width=30, height=40)
    verdict = criterion.judge({}, record, image_threshold=0.5)
    assert (verdict.keep, verdict.reason) == (keep, reason)
    assert verdict.distance_px == (0 if predicted and annotated else 50)


def test_a_negative_tolerance_is_refused() -> None:
    load_config(PROJECT / 'configs' / 'uts_counts_phantom.py')
    with pytest.raises(ConfigError, match='tolerance must be at least 0, found -1'):
        CRITERIA.build(dict(type='CountDisagreement', tolerance=-1))


def test_the_config_brings_its_criterion_along() -> None:
    experiment = load_experiment(PROJECT / 'configs' / 'uts_counts_phantom.py', 'work')
    assert [stage.kind for stage in experiment.stages] == ['train', 'distill', 'train']
    assert experiment.stages[1].config.distillation.criterion == {'type': 'CountDisagreement', 'tolerance': 1}


def test_its_reason_is_shown_wherever_samples_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_tiny(tmp_path)
    config = load_config(path)
    config.train_cfg.max_epochs = 1
    teacher = runs.train(config, tmp_path / 'teacher').checkpoint
    out = tmp_path / 'distilled'
    argv = ['--import', 'count_disagreement', path, teacher, '--out-dir', out, '--cfg-options', CRITERION]
    assert _call(monkeypatch, 'distill.py', *argv) == 0
    document = json.loads((out / 'hard_samples.json').read_text())
    dropped = {sample['image_id']: sample['reason'] for sample in document['images'] if sample['verdict'] == 'drop'}
    assert dropped
    assert set(dropped.values()) <= {'uncounted_figures', 'fewer_figures'}
    assert {image['id'] for image in read_coco(out / 'distilled.json')['images']}.isdisjoint(dropped)

    items = build_items(document, read_coco(tmp_path / 'data' / 'train.json'))
    assert {item.image_id: item.reason for item in items} == dropped

    capsys.readouterr()
    sheet, reason = tmp_path / 'sheet.png', next(iter(dropped.values()))
    argv = [out / 'hard_samples.json', '--reason', reason, '--out', sheet]
    assert _call(monkeypatch, 'analysis/show_hard_samples.py', *argv) == 0
    count = [*dropped.values()].count(reason)
    assert capsys.readouterr().out.startswith(f'{count} of {count} samples')
    assert sheet.is_file()


def _call(monkeypatch: pytest.MonkeyPatch, tool: str, *arguments: object) -> object:
    monkeypatch.setattr(sys, 'argv', [tool, *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / 'tools' / tool), run_name='__main__')
    return ended.value.code
