"""mitouts protocol from slides to a correlation, and configs/mai."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy import stats
from untrained import make_model, save_checkpoint, smooth_tissue, spread_scores, write_slide

from mitouts.commands import correlate, count, reference_hotspots
from mitouts.engine.config import load_config
from mitouts.errors import AnnotationError, ConfigError
from mitouts.formats.coco import make_annotation, make_document, make_image, write_json
from mitouts.formats.tables import read_table
from mitouts.wsi.protocol import STEPS, plan, read_protocol
from mitouts.wsi.steps import CorrelateArguments, CountArguments

CONFIGS = Path(__file__).resolve().parents[2] / 'configs' / 'mai'
Call = Callable[..., tuple[int, str, str]]

# 704 px at 2 um/px are 1.98 mm2, above the least area, in 30.25 tiles of 128 px.
SIDE_PX, MPP = 704, 2.0
# A region of 200 px; the centroid of the five figures is (300, 300), that of the two (600, 80).
AREA_MM2 = 0.16
ANNOTATED = [(300, 300), (250, 300), (350, 300), (300, 250), (300, 350), (590, 80), (610, 80)]
RESOLUTION = {'resolution': (5000, 5000), 'resolutionunit': 3}


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four slides with figures, one that is too small, one that is none; a cohort list, annotations, a checkpoint."""
    root = tmp_path_factory.mktemp('data')
    model = make_model()
    model.calibration = {'image_threshold': 0.5, 'map_threshold': 0.5, 'mpp': MPP}
    spread_scores(model, smooth_tissue(480, 480))
    save_checkpoint(root / 'best.pth', model)
    (root / 'slides').mkdir()
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    lines = ['slide,pathologist_mai,scanner']
    for number in range(1, 5):
        pixels = smooth_tissue(SIDE_PX, SIDE_PX, seed=number)
        # Pale tissue holds fewer figures.
        pixels[:, : 110 * number] = 0.4 * pixels[:, : 110 * number] + 0.6 * np.array([230, 200, 215])
        write_slide(root / 'slides' / f's{number}.tif', pixels, **RESOLUTION)
        lines.append(f'slides/s{number}.tif,{number * 7 % 5},S60')
        images.append(make_image(number, f'slides/s{number}.tif', SIDE_PX, SIDE_PX, case_id=f'c{number}', mpp=MPP))
        for x, y in [*ANNOTATED, *([(300, 310)] * number)]:
            annotations.append(make_annotation(len(annotations) + 1, number, 1, float(x), float(y)))
    write_slide(root / 'slides' / 'small.tif', smooth_tissue(300, 300), **RESOLUTION)
    (root / 'slides' / 'empty.tif').write_bytes(b'')
    lines += ['slides/small.tif,3,AT2', 'slides/empty.tif,3,AT2']
    images.append(make_image(5, 'slides/empty.tif', SIDE_PX, SIDE_PX, case_id='c5', mpp=MPP))
    write_json(root / 'ann.json', make_document(images, annotations, name='slides', tool='tests'))
    (root / 'cohort.csv').write_text('\n'.join(lines) + '\n')
    return root


def options(data: Path, *more: str, slides: str = 'slides') -> list[object]:
    paths = [f'count.slides={data / slides}', f'count.checkpoint={data / "best.pth"}', 'count.tissue=None']
    return ['--device', 'cpu', '--workers', 1, '--cfg-options', *paths, *more]


def test_annotated_and_predicted_figures_in_one_region(call: Call, data: Path, tmp_path: Path) -> None:
    out = tmp_path / 'mel'
    overrides = [f'reference.annotations={data / "ann.json"}', f'reference.area_mm2={AREA_MM2}']
    code, printed, err = call('protocol', CONFIGS / 'ccmct_mel.py', '--out', out, *options(data, *overrides))
    # One slide cannot be read.
    assert code == 1, err
    result = json.loads((out / 'protocol.json').read_text())
    reference = {row['slide']: row for row in result['reference']['slides']}
    pairs = []
    for number in range(1, 5):
        row = reference[f's{number}.tif']
        # The centroid of the cluster: (300, 300), drawn towards y = 310 by the figures that were added.
        center_y = 300 + 10 * number / (5 + number)
        assert (row['roi_left_px'], row['roi_top_px']) == (pytest.approx(200), pytest.approx(center_y - 100))
        table = read_table(out / 'counts' / f's{number}' / 'figures.csv')
        xy = np.array([[float(cells[0]), float(cells[1])] for cells in table.rows])
        inside = (np.abs(xy[:, 0] - 300) <= 100) & (np.abs(xy[:, 1] - center_y) <= 100)
        assert row['reference_count'] == 5 + number
        assert row['predicted_count'] == inside.sum()
        assert row['predicted_figures'] == len(xy)
        pairs.append((row['reference_count'], row['predicted_count']))
    assert len({predicted for _, predicted in pairs}) > 1
    assert reference['empty.tif']['status'].startswith('left out: counting it failed: ')
    assert result['correlate']['n'] == 4
    assert result['correlate']['n_missing'] == 1
    assert result['correlate']['pearson']['r'] == pytest.approx(stats.pearsonr(*zip(*pairs)).statistic)
    assert json.loads(printed) == result['correlate'] == json.loads((out / 'agreement.json').read_text())
    assert (out / 'agreement.png').is_file()
    assert 'the paper: Pearson r 0.602 (0.305 to 0.900), Spearman rho 0.580 (0.277 to 0.779), 32 slides' in err
    assert 'predicted_count (y) against reference_count (x)' in err
    assert 'holds slides without annotations: small.tif' in err


def test_rate_over_the_slide_against_the_pathologist(call: Call, data: Path, tmp_path: Path) -> None:
    arguments = [CONFIGS / 'suh.py', '--out', tmp_path, *options(data, slides='cohort.csv')]
    code, _, err = call('protocol', *arguments)
    assert code == 1, err
    result = json.loads((tmp_path / 'protocol.json').read_text())
    assert 'reference' not in result
    rows = {row['slide']: row for row in result['count']['slides']}
    pairs = []
    for number in range(1, 5):
        row = rows[f's{number}.tif']
        table = read_table(tmp_path / 'counts' / f's{number}' / 'figures.csv')
        in_tile = sum(int(cells[table.index('in_counted_tile')]) for cells in table.rows)
        assert row['mai'] == pytest.approx(in_tile / row['num_tiles'])
        assert row['counted_mm2'] >= 1.59
        pairs.append((number * 7 % 5, row['mai']))
    assert rows['small.tif']['status'].startswith('excluded: ')
    assert rows['small.tif']['mai'] is None
    assert 'mai' not in rows['empty.tif']
    assert (result['correlate']['n'], result['correlate']['n_missing']) == (4, 2)
    assert result['correlate']['spearman']['rho'] == pytest.approx(stats.spearmanr(*zip(*pairs)).statistic)
    code, _, err = call('protocol', *arguments)
    assert code == 2
    assert err.endswith('holds counts already: add --resume to go on there, or choose another --out\n')


def test_processes_of_a_group_count_and_one_goes_on(
    call: Call, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = [CONFIGS / 'suh.py', '--out', tmp_path, '--resume', *options(data, slides='cohort.csv')]
    with monkeypatch.context() as group:
        group.setenv('WORLD_SIZE', '2')
        group.setenv('RANK', '1')
        _, printed, err = call('protocol', *arguments)
    assert 'the same command without torchrun, with --resume, does the rest' in err
    assert not printed
    assert not (tmp_path / 'protocol.json').exists()
    finished = {path: path.stat().st_mtime_ns for path in tmp_path.glob('counts/*/report.json')}
    assert 0 < len(finished) < 5
    _, _, err = call('protocol', *arguments)
    assert err.count('finished before') == len(finished)
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert json.loads((tmp_path / 'protocol.json').read_text())['correlate']['n'] == 4


@pytest.mark.parametrize(
    ('overrides', 'message'),
    [
        (['count.checkpoint=gone.pth'], 'count.checkpoint: gone.pth does not exist; give it by --cfg-options count.ch'),
        (['count.slides=gone'], 'count.slides: gone does not exist'),
        (['count.checkpiont=a.pth'], "unknown config key 'count.checkpiont'; the nearest is 'count.checkpoint'"),
        (['+count.worker=2'], "count: unknown key 'worker'; the nearest is 'workers'"),
        (['+corelate.x=a'], "unknown key 'corelate'; the nearest is 'correlate'"),
        (['count.checkpoint=None'], 'count.checkpoint is missing'),
        (['count.mpp=0.25'], "unknown config key 'count.mpp'"),
        (['correlate=3'], 'correlate=3: expected dict(...)'),
        (['correlate.x=patologist_mai'], "no column 'patologist_mai'; the nearest is 'pathologist_mai'"),
        (['+correlate.by=scaner'], "no column 'scaner'; the nearest is 'scanner'"),
        (['+reference.annotation=a.json'], "reference: unknown key 'annotation'; the nearest is 'annotations'"),
        (['+reference.annotations=a.json'], 'reference.annotations: a.json does not exist'),
        (["count.threshold={'a': 1}"], "count.threshold: expected a number or text, found {'a': 1}"),
    ],
)
def test_mistakes_are_one_line_before_anything_is_counted(
    call: Call, data: Path, tmp_path: Path, overrides: list[str], message: str
) -> None:
    arguments = options(data, *overrides, slides='cohort.csv')
    code, _, err = call('protocol', CONFIGS / 'suh.py', '--out', tmp_path / 'out', *arguments)
    assert code == 2
    assert err.startswith('error: ')
    assert message in err
    assert err.count('\n') == 1
    assert not (tmp_path / 'out').exists()


def test_annotations_are_read_before_anything_is_counted(data: Path, tmp_path: Path) -> None:
    other = make_document([make_image(1, 'b.tif', 9, 9, case_id='b', mpp=MPP)], [], name='other', tool='tests')
    write_json(tmp_path / 'other.json', other)
    given = [f'count.slides={data / "slides"}', f'count.checkpoint={data / "best.pth"}']
    unknown = [f'reference.annotations={data / "ann.json"}', 'reference.category=7']
    with pytest.raises(AnnotationError, match='category 7 is none of the annotation file'):
        read_protocol(load_config(CONFIGS / 'ccmct_mel.py', [*given, *unknown]))
    with pytest.raises(ConfigError, match=r'annotations of none of the 6 slides; they are of b\.tif and others'):
        read_protocol(
            load_config(CONFIGS / 'ccmct_mel.py', [*given, f'reference.annotations={tmp_path / "other.json"}'])
        )


def test_a_config_without_a_step_says_so(call: Call, tmp_path: Path) -> None:
    (tmp_path / 'mine.py').write_text("correlate = dict(x='a', y='mai')\n")
    code, _, err = call('protocol', tmp_path / 'mine.py', '--out', tmp_path / 'out')
    assert code == 2
    assert 'mine.py has no count = dict(...)' in err


def test_a_reference_of_the_name_of_a_count_is_refused(data: Path, tmp_path: Path) -> None:
    (tmp_path / 'cohort.csv').write_text('slide,mai\na.tif,3\n')
    overrides = [f'count.slides={tmp_path / "cohort.csv"}', f'count.checkpoint={data / "best.pth"}', 'correlate.x=mai']
    config = load_config(CONFIGS / 'suh.py', [*overrides, 'count.tissue=None'])
    with pytest.raises(
        ConfigError, match=r"column 'mai' has the name of a count.*rename it, for instance to pathologist_"
    ):
        read_protocol(config)


def test_steps_have_typed_arguments() -> None:
    protocol: dict[str, dict[str, Any]] = {
        'count': {'slides': 'a b', 'checkpoint': 'c.pth', 'tissue': None, 'roi_mm2': [1.59, '2'], 'half': True},
        'correlate': {'x': '-x', 'y': 'mai', 'seed': 7},
    }
    steps = plan(protocol, Path('out'), {'workers': 3, 'batch': None, 'half': False}, resume=True)
    assert steps.count == CountArguments(
        slides=Path('a b'),
        checkpoint=Path('c.pth'),
        out=Path('out/counts'),
        roi_mm2=[1.59, 2.0],
        workers=3,
        resume=True,
    )
    assert steps.reference is None
    assert steps.correlate == CorrelateArguments(
        table=Path('out/counts/counts.csv'), x='-x', y='mai', seed=7,
        out=Path('out/agreement.json'), plot=Path('out/agreement.png'),
    )  # fmt: skip


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'threshold': 2}, r'count\.threshold: must be from 0 to 1, found 2'),
        ({'batch': 'x'}, r'count\.batch: invalid literal'),
        ({'batch': [1, 2]}, r'count\.batch: expected a number or text, found \[1, 2\]'),
        ({'half': 'yes'}, r"count\.half: expected True or False, found 'yes'"),
        ({'roi_mm2': [1.59, 0]}, r'count\.roi_mm2: must be a positive number, found 0'),
        ({'tissue': 'a.pth', 'roi': 'b.geojson'}, 'tissue and roi both say where'),
        ({'roi_class': 'tumour'}, '--roi-class says which polygons'),
    ],
)
def test_values_that_make_no_sense_are_refused(values: dict[str, Any], message: str) -> None:
    protocol = {'count': {'slides': 'a', 'checkpoint': 'c.pth', **values}, 'correlate': {'x': 'a', 'y': 'b'}}
    with pytest.raises(ConfigError, match=message):
        plan(protocol, Path('out'))


@pytest.mark.parametrize(
    ('step', 'command'), [('count', count), ('reference', reference_hotspots), ('correlate', correlate)]
)
def test_commands_and_protocols_have_the_same_arguments_and_defaults(step: str, command: ModuleType) -> None:
    # Those of comparing areas with their annotations are no step of a protocol, which compares one table.
    others = {'help', 'imports', 'last', *(('truth', 'markdown', 'radius_px') if step == 'correlate' else ())}
    parsed = {
        {'tables': 'table'}.get(action.dest, action.dest): action
        for action in command.build_parser()._actions
        if action.dest not in others
    }
    arguments = {field.name: field for field in fields(STEPS[step])}
    assert set(parsed) == set(arguments)
    for name, field in arguments.items():
        if field.default is not MISSING and name != 'out':
            default = parsed[name].default
            assert (tuple(default) if isinstance(default, list) else default) == field.default, name


@pytest.mark.parametrize('path', sorted(CONFIGS.glob('*.py')), ids=lambda path: path.stem)
def test_configs_hold_a_protocol(path: Path, data: Path) -> None:
    config = load_config(path)
    # The data are not at hand; other files take their place.
    config.count.slides = str(data / 'cohort.csv')
    config.count.checkpoint = str(data / 'best.pth')
    if config.count.tissue is not None:
        config.count.tissue = str(data / 'best.pth')
    if 'reference' in config:
        config.reference.annotations = str(data / 'ann.json')
    protocol = read_protocol(config)
    assert protocol['count']['roi_mm2'] == [1.59]
    for name in ('pearson', 'spearman'):
        low, high = protocol['paper'][f'{name}_ci95']
        assert low < protocol['paper'][name] < high


def test_another_column_of_the_name_of_one_of_ours_is_no_obstacle(data: Path, tmp_path: Path) -> None:
    (tmp_path / 'cohort.csv').write_text('slide,remark,pathologist\na.tif,good,3\n')
    overrides = [f'count.slides={tmp_path / "cohort.csv"}', f'count.checkpoint={data / "best.pth"}']
    overrides += ['correlate.x=pathologist', 'count.tissue=None']
    assert read_protocol(load_config(CONFIGS / 'suh.py', overrides))['correlate']['x'] == 'pathologist'
