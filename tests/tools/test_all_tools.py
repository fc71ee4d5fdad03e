"""What holds for every tool there is: how it is begun, how its options gather values, and how it ends."""

from __future__ import annotations

import argparse
import ast
import contextlib
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mitouts.utils.arguments import Gather

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
NAMES = sorted(path.relative_to(TOOLS).as_posix() for path in TOOLS.rglob('*.py'))

BROKEN = {
    'analysis/browse_dataset.py': 'BROKEN',
    'analysis/describe_dataset.py': 'BROKEN',
    'analysis/evaluate_points.py': 'BROKEN BROKEN --radius-px 5 --score-thr 0.5',
    'analysis/make_tables.py': '--spec BROKEN',
    'analysis/measure_costs.py': '--spec BROKEN',
    'analysis/plot_ablation.py': 'BROKEN --out OUT.png --x-name x --rows a/b=1',
    'analysis/plot_confusion.py': 'BROKEN --out OUT.png',
    'analysis/plot_costs.py': 'BROKEN --costs-file BROKEN --out OUT.png',
    'analysis/plot_curves.py': 'BROKEN --out OUT.png',
    'analysis/plot_froc.py': 'BROKEN --out OUT.png',
    'analysis/show_hard_samples.py': 'BROKEN --out OUT.png',
    'analysis/update_results.py': 'BROKEN --run BROKEN',
    'benchmarks/bench_matching.py': '--images none',
    'benchmarks/bench_patches.py': '--unknown',
    'benchmarks/bench_phantom.py': '--unknown',
    'benchmarks/bench_review.py': '--unknown',
    'benchmarks/bench_training_step.py': '--unknown',
    'benchmarks/stain.py': '--unknown',
    'benchmarks/wsi.py': '--models none',
    'calibrate.py': 'BROKEN --ann-file BROKEN --out OUT.pth',
    'cascade.py': 'propose BROKEN BROKEN',
    'collect_env.py': '',
    'dataset_converters/amibr.py': 'BROKEN --out OUT.json',
    'dataset_converters/amibr_fields.py': 'BROKEN --out OUT',
    'dataset_converters/ccmct.py': 'BROKEN --out OUT.json',
    'dataset_converters/grand_challenge.py': 'BROKEN --out OUT.json',
    'dataset_converters/midog.py': 'BROKEN --out OUT.json',
    'dataset_converters/mitos14.py': 'BROKEN --out OUT.json',
    'dataset_converters/phantom.py': '--out BROKEN',
    'dataset_converters/phantom_slide.py': '--out BROKEN/slide',
    'dataset_converters/phantom_tissue.py': '--out BROKEN',
    'dataset_converters/qupath_geojson.py': 'BROKEN --out OUT.json',
    'dataset_converters/sliderunner.py': 'BROKEN --out OUT.json',
    'dataset_converters/tupac16.py': 'BROKEN --out OUT.json',
    'distill.py': 'BROKEN BROKEN',
    'fit_stain_reference.py': 'BROKEN --out OUT.json',
    'predict.py': 'BROKEN BROKEN --out OUT.json',
    'prepare_patches.py': 'BROKEN --out OUT',
    'publish_model.py': 'BROKEN OUT.pth',
    'review.py': 'serve BROKEN --annotations BROKEN',
    'run_suite.py': 'BROKEN',
    'test.py': 'BROKEN BROKEN',
    'train.py': 'BROKEN',
    'wsi/correlate.py': 'BROKEN --x a --y b',
    'wsi/count_mitoses.py': 'BROKEN --checkpoint BROKEN --out OUT',
    'wsi/reference_hotspots.py': 'BROKEN --counts BROKEN --out OUT.csv',
    'wsi/run_protocol.py': 'BROKEN --out OUT',
}
"""Tool -> arguments, with BROKEN for a file that is nothing and OUT for what would be written."""


@contextlib.contextmanager
def _catching(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[argparse.ArgumentParser]]:
    caught: list[argparse.ArgumentParser] = []

    def parse(parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        caught.append(parser)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, 'parse_known_args', parse)
        yield caught


def _options(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from _options(each)
        elif action.option_strings:
            yield action


@pytest.mark.parametrize('name', NAMES)
def test_a_tool_is_begun_through_the_one_door(name: str) -> None:
    last = ast.unparse(ast.parse((TOOLS / name).read_text()).body[-1])
    assert last.startswith("if __name__ == '__main__':")
    assert last.endswith(('    run(main)', '    run_tool(main)'))


@pytest.mark.parametrize('name', NAMES)
def test_help_and_options_that_take_several_values(name: str, monkeypatch, capsys) -> None:
    path = TOOLS / name
    monkeypatch.setattr(sys, 'argv', [path.name])
    with _catching(monkeypatch) as caught, pytest.raises(SystemExit):
        runpy.run_path(str(path), run_name='__main__')
    if name == 'collect_env.py':
        return
    (parser,) = caught
    assert 'usage: ' in parser.format_help()
    several = [action for action in _options(parser) if action.nargs in ('+', '*')]
    assert [action.option_strings for action in several if not isinstance(action, Gather)] == []


@pytest.mark.parametrize('name', NAMES)
def test_broken_input_ends_in_one_line(name: str, call, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('MITOUTS_TRACEBACK', raising=False)
    broken = tmp_path / 'broken.json'
    broken.write_bytes(b'\x00\xff neither JSON nor an image')
    words = BROKEN[name].replace('BROKEN', str(broken)).replace('OUT', str(tmp_path / 'out')).split()
    code, _, err = call(name, *words)
    if name == 'collect_env.py':
        assert code == 0
        return
    assert code == 2, err
    assert 'Traceback' not in err
    assert 'a fault of the program' not in err
    errors = [line for line in err.splitlines() if 'error: ' in line]
    assert len(errors) == 1, err
