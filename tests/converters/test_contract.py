"""What holds for every converter, those outside of the package included."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import json
import sys
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from foreign_files import (
    write_amibr,
    write_ccmct,
    write_grand_challenge,
    write_midog,
    write_mitos14,
    write_qupath,
    write_tupac16,
)

from mitouts.commands.convert import main
from mitouts.converters.base import ExportingConverter, known_converters, partitions_of
from mitouts.formats.coco import read_coco
from mitouts.formats.splits import SPLITS
from mitouts.imaging.image import write_rgb
from mitouts.registry import CONVERTERS, import_packages
from mitouts.utils.arguments import add_parameters
from mitouts.utils.cli import run

PROJECTS = Path(__file__).resolve().parents[2] / 'projects'
LABELS = ('.csv', '.json', '.geojson', '.sqlite')

with mock.patch.object(sys, 'path', [str(PROJECTS / 'example_converter'), *sys.path]):
    import_packages(['point_table'])


def _write_point_table(folder: Path) -> Path:
    write_rgb(folder / 'lab' / 'images' / 'a.png', np.full((50, 60, 3), 200, np.uint8))
    (folder / 'lab' / 'points.csv').write_text('image,patient,x,y,class\na.png,P1,3,4,mitosis\n')
    return folder / 'lab'


SAMPLES: dict[str, Callable[[Path], Path]] = {
    'amibr': write_amibr,
    'ccmct': write_ccmct,
    'grand_challenge': write_grand_challenge,
    'midog': write_midog,
    'mitos14': write_mitos14,
    'point_table': _write_point_table,
    'qupath_geojson': write_qupath,
    'sliderunner': write_ccmct,
    'tupac16': write_tupac16,
}
"""A small data set of each."""
NEEDED = {'grand_challenge': ['--mpp', '0.25']}
KNOWN = known_converters()


def _convert(name: str, src: Path, out: Path) -> int:
    with pytest.raises(SystemExit) as ended:
        run(lambda: main([name, str(src), '--out', str(out), *NEEDED.get(name, [])]))
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_every_converter_has_a_sample() -> None:
    assert sorted(SAMPLES) == sorted(KNOWN)


@pytest.mark.parametrize('name', KNOWN)
def test_the_result_is_an_annotation_file_that_says_how_it_was_made(name: str, tmp_path: Path) -> None:
    src, out = SAMPLES[name](tmp_path), tmp_path / 'ann.json'
    assert _convert(name, src, out) == 0
    document = read_coco(out, keep_outside=True)
    assert document['images']
    assert document['annotations']
    assert {image.get('split', 'train') for image in document['images']} <= set(SPLITS)
    info = document['info']['mitouts']
    assert (info['tool'], info['arguments']['src']) == (name, src.name)
    assert {field.name for field in dataclasses.fields(KNOWN[name])} <= set(info['arguments'])
    assert all(note and note == note.strip() for note in info['notes'])
    written = out.read_bytes()
    assert _convert(name, src, out) == 0
    assert out.read_bytes() == written


@pytest.mark.parametrize('name', KNOWN)
@pytest.mark.parametrize('content', [b'', b'\x00\xff\xfe', b'[[1, 2], {"a": null}]'], ids=['empty', 'binary', 'other'])
def test_broken_labels_end_in_one_line(
    name: str, content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    src = SAMPLES[name](tmp_path)
    files = [src] if src.is_file() else [path for path in src.rglob('*') if path.suffix in LABELS]
    assert files
    for path in files:
        path.write_bytes(content)
    # An empty csv of these two is an image without figures.
    if content or name not in ('mitos14', 'tupac16'):
        _assert_one_line(name, src, tmp_path / 'ann.json', capsys)


@pytest.mark.parametrize('name', KNOWN)
def test_what_is_not_there_ends_in_one_line(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / 'empty').mkdir()
    for src in (tmp_path / 'none', tmp_path / 'empty'):
        _assert_one_line(name, src, tmp_path / 'ann.json', capsys)


def _assert_one_line(name: str, src: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _convert(name, src, out) == 2
    captured = capsys.readouterr()
    assert captured.out == ''
    assert captured.err.startswith(f'error: {src}')
    assert captured.err.count('\n') == 1
    assert not out.exists()


@pytest.mark.parametrize('name', KNOWN)
def test_partitions_say_where_they_come_from_and_divide_no_case(name: str) -> None:
    for dataset, partitions in KNOWN[name].partitions.items():
        # Two converters that both know a data set's partitions would leave the choice to chance.
        assert partitions_of(dataset) is partitions
        assert partitions
        for partition in partitions.values():
            assert not partition.val & partition.test
            assert partition.source
            assert partition.rest in SPLITS


@pytest.mark.parametrize('name', KNOWN)
def test_the_help_describes_it_and_each_of_its_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    converter = KNOWN[name]
    options = add_parameters(argparse.ArgumentParser(), converter)
    assert options == [field.name for field in dataclasses.fields(converter)]
    with pytest.raises(SystemExit):
        main([name, '--help'])
    text = capsys.readouterr().out
    assert inspect.getdoc(converter) in text
    assert f'mitouts convert {name} ' in text
    assert converter.src.split()[-1] in text
    assert all(f'--{option.replace("_", "-")} ' in text for option in options)
    assert ('--export ' in text) == issubclass(converter, ExportingConverter)


def test_the_recipe_of_the_docs_works_as_it_stands_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (PROJECTS.parent / 'docs' / 'extend.md').read_text()
    module, use = (
        page.partition(f' title="converter: {title}"\n')[2].partition('\n```')[0] for title in ('my_package.py', 'use')
    )
    (tmp_path / 'converter_of_the_docs.py').write_text(module)
    (tmp_path / 'points.csv').write_text('image,patient,x,y\na.png,P2,3,4.5\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    words = use.replace('my_package', 'converter_of_the_docs').partition('mitouts convert ')[2].split()
    try:
        main(words)
    finally:
        CONVERTERS.module_dict.pop('lab', None)
    document = read_coco(tmp_path / 'data' / 'lab.json')
    assert [(image['case_id'], image['split']) for image in document['images']] == [('P2', 'val')]
    assert [annotation['point'] for annotation in document['annotations']] == [[3, 4.5]]
    assert document['info']['mitouts']['arguments']['delimiter'] == ','


@pytest.mark.parametrize('name', [name for name, kind in KNOWN.items() if issubclass(kind, ExportingConverter)])
def test_what_is_exported_is_read_again(name: str, tmp_path: Path) -> None:
    out = tmp_path / 'ann.json'
    assert _convert(name, SAMPLES[name](tmp_path), out) == 0
    main([name, str(out), '--export', '--out', str(tmp_path / 'again')])
    assert _convert(name, tmp_path / 'again', tmp_path / 'back.json') == 0
    before, after = (json.loads(path.read_text()) for path in (out, tmp_path / 'back.json'))
    points = [[entry['point'] for entry in document['annotations']] for document in (before, after)]
    np.testing.assert_allclose(points[0], points[1], atol=1e-9)
