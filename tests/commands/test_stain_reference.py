"""The stain tools as a user calls them."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch
from stained_patches import AMIBR, NO_STAINS, draw_patch

from mitouts.imaging.image import write_rgb
from mitouts.stain import build_normalizer, known_methods, load_reference


def test_reference_of_images_is_what_normalizers_measure_on_them(call, tmp_path) -> None:
    images = [draw_patch(90, seed) for seed in (0, 1)]
    for number, image in enumerate(images):
        write_rgb(tmp_path / f'{number}.png', image)
    out = tmp_path / 'made' / 'reference.json'
    code, printed, _ = call('stain-reference', tmp_path / '0.png', tmp_path / '1.png', '--out', out)
    assert code == 0
    assert f'written to {out}' in printed
    reference = load_reference(out, known_methods())
    assert reference.source['note'] == '0.png, 1.png'
    own = build_normalizer('macenko').fit(np.vstack(images)).parts['macenko']
    np.testing.assert_allclose(reference.part('macenko').stains, own.stains, atol=1e-6)
    assert [path.name for path in out.parent.iterdir()] == ['reference.json']


def test_note_is_kept(call, tmp_path) -> None:
    write_rgb(tmp_path / 'field.png', draw_patch(64))
    call('stain-reference', tmp_path / 'field.png', '--out', tmp_path / 'r.json', '--name', 'a good field')
    assert load_reference(tmp_path / 'r.json', ['macenko']).source['note'] == 'a good field'


@pytest.mark.parametrize(
    ('image', 'out', 'message'),
    [
        ('white.png', 'r.json', 'white.png: macenko cannot be fitted'),
        ('none.png', 'r.json', 'none.png'),
        ('broken.png', 'r.json', 'broken.png'),
        ('white.png', 'r.txt', '--out must be named *.json'),
    ],
)
def test_bad_input_is_one_line(call, tmp_path, image, out, message) -> None:
    write_rgb(tmp_path / 'white.png', NO_STAINS['white'])
    (tmp_path / 'broken.png').write_bytes(b'\x89PNG\r\n\x1a\nabc')
    code, _, err = call('stain-reference', tmp_path / image, '--out', tmp_path / out)
    assert code == 2
    assert err.startswith('error: ')
    assert message in err
    assert err.count('\n') == 1
    assert not (tmp_path / out).exists()


@pytest.fixture
def threads(monkeypatch):
    """The benchmark takes one core for the whole process."""
    for name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS'):
        monkeypatch.setenv(name, '1')
    before = torch.get_num_threads(), cv2.getNumThreads()
    yield
    torch.set_num_threads(before[0])
    cv2.setNumThreads(before[1])


def _benchmark(call, *arguments: object) -> dict:
    code, out, _ = call('benchmarks/stain.py', *arguments, '--json', '--rounds', 1, '--patches', 2)
    assert code == 0
    results = json.loads(out)
    assert all(results[f'{name}_ms'] > 0 for name in ('mitouts', 'torchstain', 'staintools'))
    return results


@pytest.mark.usefixtures('threads')
def test_benchmark_draws_patches_where_there_are_none(call) -> None:
    results = _benchmark(call, '--patch-px', 200)
    assert results['source'] == 'drawn'
    assert results['mean_abs_diff'] <= 1


@pytest.mark.usefixtures('threads')
def test_benchmark_on_mosaics_agrees_with_torchstain(call) -> None:
    if not AMIBR.is_dir():
        pytest.skip('the AMi-Br crops are not at ../shared/data/AMi-Br')
    results = _benchmark(call, AMIBR)
    assert results['mean_abs_diff'] <= 0.6
    # Loose, because other work may be going on; the printed ratios are what is to be looked at.
    assert results['mitouts_ms'] < results['torchstain_ms'] / 3


@pytest.mark.usefixtures('threads')
def test_benchmark_prints_a_table(call) -> None:
    code, out, _ = call('benchmarks/stain.py', '--rounds', 1, '--patches', 1, '--patch-px', 100)
    assert code == 0
    assert 'torchstain' in out
    assert 'staintools' in out


@pytest.mark.usefixtures('threads')
def test_benchmark_without_the_data_set_is_one_line(call, tmp_path) -> None:
    code, _, err = call('benchmarks/stain.py', tmp_path)
    assert code == 2
    assert err.startswith('error: ')
    assert err.count('\n') == 1
