"""measure_costs, make_tables and plot_costs on one spec: what the first measures, the others show."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from costed_suite import MEASURED, make_model, write_costed_suite

from mitouts.experiments.costs import Costs, read_costs

Call = Callable[..., tuple[int, str, str]]

MEASURE, PLOT, TABLES = 'costs', 'plot costs', 'tables'
QUICK = ('--images', 2, '--batch-size', 2, '--rounds', 2)


@pytest.fixture(scope='module')
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_costed_suite(tmp_path_factory.mktemp('costed'), checkpoints=True)


@pytest.fixture(autouse=True)
def _without_costs(spec: Path) -> Iterator[None]:
    yield
    costs_of(spec).unlink(missing_ok=True)


@pytest.fixture(autouse=True)
def _memory_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('mitouts.utils.memory.keep_freed_memory', lambda: False)


def costs_of(spec: Path) -> Path:
    return spec.parent / 'costs.json'


def suite_of(spec: Path) -> Path:
    return spec.parent / 'work_dirs' / 'tiny'


def test_a_spec_is_measured_tabulated_and_drawn(call: Call, spec: Path, tmp_path: Path) -> None:
    code, out, err = call(MEASURE, '--spec', spec, *QUICK)
    assert code == 0
    costs = read_costs(costs_of(spec))
    assert sorted(costs.models) == sorted(f'{group}/{stage}' for group, stage in MEASURED)
    assert {cost.parameters for cost in costs.models.values()} == {sum(p.numel() for p in make_model().parameters())}
    assert [line.split(' M param')[0].rsplit('  ', 1)[0].strip() for line in out.splitlines()[:2]] == [
        'noise 0, Boxes', 'noise 0, Teacher',
    ]  # fmt: skip
    assert out.splitlines()[-1] == str(costs_of(spec))
    assert err.splitlines()[-1] == 'round 2 of 2'
    code, out, _ = call(TABLES, '--spec', spec, '--block', 'detection')
    boxes = costs.models['box-noise00/model']
    assert code == 0
    assert f'| {boxes.gmac_per_megapixel:.1f} |' in out
    assert f'| {boxes.megapixels_per_second:.2f} |' in out
    figure = tmp_path / 'costs.svg'
    code, out, _ = call(PLOT, '--spec', spec, '--out', figure)
    assert code == 0
    assert figure.stat().st_size > 5000
    assert out.splitlines()[0].startswith('noise 0, Boxes (box-noise00/model): 0.')
    assert f'{boxes.gmac_per_megapixel:.3g} GMAC per megapixel' in out.splitlines()[0]
    assert len(out.splitlines()) == len(MEASURED) + 1


@pytest.mark.parametrize('suffix', ['png', 'pdf'])
def test_all_costs_can_be_drawn(call: Call, spec: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f'new/costs.{suffix}'
    names = ('gmac', 'minutes', 'parameters', 'speed')
    code, text, _ = call(PLOT, '--spec', spec, '--block', 'detection', '--costs', *names, '--partial', '--out', out)
    assert code == 0
    assert out.stat().st_size > 5000
    assert 'minutes of training' in text
    assert 'GMAC' not in text


def test_chosen_stages_are_measured(call: Call, spec: Path, tmp_path: Path) -> None:
    out, threads = tmp_path / 'some.json', torch.get_num_threads()
    only = ('noise00/teacher=Teacher', 'box-noise30/model')
    code, _, _ = call(MEASURE, suite_of(spec), '--only', *only, '--out', out, '--threads', threads, *QUICK)
    assert code == 0
    found = read_costs(out)
    assert {source: cost.label for source, cost in found.models.items()} == {
        'noise00/teacher': 'Teacher', 'box-noise30/model': 'box-noise30/model',
    }  # fmt: skip
    assert found.models['noise00/teacher'].checkpoint.endswith('noise00/fold0_seed0/teacher/best.pth')
    assert found.info['environment']['threads'] == str(threads)


def test_what_has_no_run_is_left_out_if_asked(call: Call, spec: Path, tmp_path: Path) -> None:
    only = ('noise00/teacher=Teacher', 'later/model')
    arguments = (suite_of(spec), '--only', *only, '--out', tmp_path / 'some.json', *QUICK)
    code, _, err = call(MEASURE, *arguments)
    assert (code, err.count('\n')) == (2, 1)
    assert "no group 'later'" in err
    code, _, err = call(MEASURE, *arguments, '--partial')
    assert code == 0
    assert err.startswith('warning: later/model: no run is done\n')
    assert isinstance(read_costs(tmp_path / 'some.json'), Costs)


@pytest.mark.parametrize(
    ('tool', 'arguments', 'message'),
    [
        (MEASURE, ['SUITE'], '--out COSTS.json is needed where there is no --spec'),
        (MEASURE, ['--out', 'x.json'], 'no suite given'),
        (MEASURE, ['--spec', 'SPEC', '--out', 'x.json'], '--only and --out exclude --spec'),
        (MEASURE, ['--spec', 'NONE'], 'has no block of kind baselines that names a file of costs'),
        (MEASURE, ['SUITE', '--only', 'noise00/control', '--out', 'x.json'], 'control holds no checkpoint'),
        (MEASURE, ['SUITE', '--only', 'noise00/distill', '--out', 'x.json'], 'distill names no test images'),
        (PLOT, ['--spec', 'SPEC', '--out', 'x.svg'], 'costs.json: no such file'),
        (PLOT, ['--spec', 'SPEC', '--out', 'x.gif'], "must end in .png, .svg, .pdf, found '.gif'"),
        (PLOT, ['--spec', 'SPEC', '--out', 'x.svg', '--block', 'methods'], 'found --block methods; it has detection'),
        (PLOT, ['--spec', 'NONE', '--out', 'x.svg'], 'no --block is given; it has none'),
    ],
)
def test_bad_input_is_one_line(
    call: Call, spec: Path, tmp_path: Path, tool: str, arguments: list[str], message: str
) -> None:
    other = tmp_path / 'none.yaml'
    other.write_text(json.dumps({'suites': [str(suite_of(spec))], 'blocks': []}))
    places = {'SUITE': suite_of(spec), 'SPEC': spec, 'NONE': other}
    code, out, err = call(tool, *(places.get(word, word) for word in arguments))
    assert (code, out, err.count('\n')) == (2, '', 1)
    assert err.startswith('error: ')
    assert message in err


def test_a_device_that_is_not_there_is_named(call: Call, spec: Path, tmp_path: Path) -> None:
    arguments = ('--only', 'noise00/teacher', '--out', tmp_path / 'some.json', '--device', 'abacus')
    code, _, err = call(MEASURE, suite_of(spec), *arguments)
    assert code == 2
    assert err.splitlines()[-1].startswith("error: device 'abacus' cannot be used")
