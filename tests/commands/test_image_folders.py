"""What the tools take out of a user's folders, and what they say of the images in them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from counted_slides import COMMAND, RESOLUTION, TILED, Call, read_csv, read_report, tissue_slide
from dicom_files import write_dicom
from untrained import smooth_tissue, write_slide

from mitouts.formats.coco import read_coco
from mitouts.imaging.image import write_rgb

POINTS = {
    'type': 'Multiple points',
    'points': [{'name': 'mitotic figure', 'point': [0.01, 0.02, 0]}],
    'version': {'major': 1, 'minor': 0},
}
FEATURE = {
    'type': 'Feature',
    'geometry': {'type': 'Point', 'coordinates': [10.5, 20.5]},
    'properties': {'objectType': 'annotation', 'classification': {'name': 'Mitosis'}},
}
GEOJSON = {'type': 'FeatureCollection', 'features': [FEATURE]}
LABELS = {'grand_challenge': ('.json', POINTS), 'qupath_geojson': ('.geojson', GEOJSON)}


def _untidy(root: Path, linked: Path, suffix: str) -> None:
    """A folder with a linked one in it, a link back, and what macOS leaves on a foreign disk."""
    (root / 'link').symlink_to(linked)
    (linked / 'back').symlink_to(root)
    for name in (f'._a{suffix}', f'link/._b{suffix}', f'__MACOSX/._a{suffix}', '.DS_Store', 'Thumbs.db'):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b'\0\5\x16\7Mac OS X')


def test_images_of_a_folder_are_predicted(call: Call, checkpoint: Path, tmp_path: Path) -> None:
    image = smooth_tissue(100, 80)
    write_rgb(tmp_path / 'images/a.png', image)
    write_rgb(tmp_path / 'elsewhere/b.png', image)
    write_slide(tmp_path / 'images/c.bif', image)
    _untidy(tmp_path / 'images', tmp_path / 'elsewhere', '.png')
    out = tmp_path / 'p.json'
    code, _, err = call('predict', tmp_path / 'images', checkpoint, '--mpp', 2, '--out', out)
    assert (code, 'skipped' in err, 'H&E' in err) == (0, False, False)
    names = [Path(entry['file_name']).name for entry in json.loads(out.read_text())['images']]
    assert names == ['a.png', 'c.bif', 'b.png']


@pytest.mark.parametrize('mpp', ['0', '-0.25', 'nan', 'inf'])
def test_resolution_that_makes_no_sense_is_refused(call: Call, mpp: str, tmp_path: Path) -> None:
    code, _, err = call('predict', tmp_path / 'a.png', tmp_path / 'c.pth', '--mpp', mpp, '--out', tmp_path / 'p.json')
    assert code == 2
    assert f'argument --mpp: must be a positive number, found {mpp}' in err


def test_image_that_cannot_be_h_and_e_is_predicted_with_a_warning(call: Call, checkpoint: Path, tmp_path: Path) -> None:
    write_rgb(tmp_path / 'dark.png', smooth_tissue(100, 80) // 30)
    code, _, err = call('predict', tmp_path / 'dark.png', checkpoint, '--mpp', 2, '--out', tmp_path / 'p.json')
    assert code == 0
    assert f'warning: {tmp_path / "dark.png"}: its background is dark, as of fluorescence' in err


def test_images_of_a_broken_file_and_of_a_label_alone_are_skipped_or_refused(
    call: Call, checkpoint: Path, tmp_path: Path
) -> None:
    write_rgb(tmp_path / 'in/a.png', smooth_tissue(100, 80))
    (tmp_path / 'in/b.svs').write_bytes(b'II*\0' + bytes(50))
    code, out, err = call('predict', tmp_path / 'in', checkpoint, '--mpp', 2, '--out', tmp_path / 'p.json')
    assert (code, '1 image skipped' in out, 'skipped: image' in err, 'b.svs' in err) == (1, True, True, True)
    label = write_dicom(tmp_path / 'label.dcm', flavor='LABEL')
    code, _, err = call('predict', label, checkpoint, '--mpp', 2, '--out', tmp_path / 'p.json')
    assert (code, 'label.dcm is the label of a slide' in err) == (2, True)


def test_image_of_a_resolution_that_does_not_suit_is_named(call: Call, checkpoint: Path, tmp_path: Path) -> None:
    write_rgb(tmp_path / 'coarse.png', smooth_tissue(100, 80))
    code, _, err = call('predict', tmp_path / 'coarse.png', checkpoint, '--mpp', 9, '--out', tmp_path / 'p.json')
    assert (code, f'skipped: image {tmp_path / "coarse.png"}: the image has 9.0 um/px' in err) == (1, True)


@pytest.mark.parametrize('tool', LABELS)
def test_label_files_of_a_folder_are_converted(tool: str, convert: Call, tmp_path: Path) -> None:
    suffix, content = LABELS[tool]
    for name in ('labels/a', 'elsewhere/b'):
        (tmp_path / name).parent.mkdir()
        (tmp_path / f'{name}{suffix}').write_text(json.dumps(content))
    for name in ('images/a.png', 'images/link/b.png', 'images/._a.png'):
        write_rgb(tmp_path / name, np.full((60, 50, 3), 200, np.uint8))
    _untidy(tmp_path / 'labels', tmp_path / 'elsewhere', suffix)
    arguments = [tmp_path / 'labels', '--mpp', 0.5, '--image-root', tmp_path / 'images', '--out', tmp_path / 'o.json']
    code, err = convert(tool, *arguments)
    assert (code, 'Traceback' in err) == (0, False), err
    assert [image['file_name'] for image in read_coco(tmp_path / 'o.json')['images']] == ['a.png', 'link/b.png']


@pytest.mark.parametrize('tool', LABELS)
@pytest.mark.parametrize('content', [b'', b'II*\0', b'II*\0' + bytes(90), b'text', b'\x89PNG\r\n\x1a\n'])
def test_broken_image_is_one_line_in_every_converter(tool: str, content: bytes, convert: Call, tmp_path: Path) -> None:
    suffix, labels = LABELS[tool]
    (tmp_path / f'a{suffix}').write_text(json.dumps(labels))
    (tmp_path / 'images').mkdir()
    (tmp_path / 'images/a.svs').write_bytes(content)
    arguments = [tmp_path / f'a{suffix}', '--mpp', 0.5, '--image-root', tmp_path / 'images', '--out', tmp_path / 'o']
    code, err = convert(tool, *arguments)
    assert (code, err.count('\n'), err.startswith('error: ')) == (2, 1, True), err
    assert 'a.svs' in err


def test_folder_of_slides_is_counted_with_those_below_it_and_twice_alike(
    call: Call, checkpoint: Path, tmp_path: Path
) -> None:
    tissue_slide(tmp_path / 'slides/a.tif', width=260, height=200)
    tissue_slide(tmp_path / 'slides/case 2/b.bif', width=260, height=200)
    (tmp_path / 'slides/c.vsi').write_bytes(b'?')
    write_dicom(tmp_path / 'slides/label.dcm', flavor='LABEL')
    out = tmp_path / 'slides/counts'
    for resume in ((), ('--resume',)):
        code, _, err = call(COMMAND, tmp_path / 'slides', '--checkpoint', checkpoint, '--out', out, *resume)
        assert code == 1
        assert 'label.dcm is passed over: it is the label of a slide' in err
        status = {Path(row['slide']).name: row['status'].split(':')[0] for row in read_csv(out / 'counts.csv')}
        assert status == {'a.tif': 'excluded', 'b.bif': 'excluded', 'c.vsi': 'failed'}


def test_slide_that_cannot_be_h_and_e_is_counted_with_a_warning(call: Call, checkpoint: Path, tmp_path: Path) -> None:
    grey = np.repeat(smooth_tissue(400, 300)[..., 1:2], 3, axis=2)
    write_slide(tmp_path / 'grey.tif', grey, **TILED)
    code, _, err = call(COMMAND, tmp_path / 'grey.tif', '--checkpoint', checkpoint, '--out', tmp_path / 'out')
    assert code == 0
    assert 'grey.tif: warning: its colours are not those of H&E' in err
    assert 'not those of H&E' in json.dumps(read_report(tmp_path / 'out/grey'))


def test_doubtful_resolution_of_a_slide_is_refused_unless_it_is_given(
    call: Call, checkpoint: Path, tmp_path: Path
) -> None:
    options = {**TILED, 'resolution': tuple(400 * value for value in RESOLUTION['resolution'])}
    tifffile.imwrite(tmp_path / 'a.tif', smooth_tissue(260, 200), photometric='rgb', **options)
    arguments = [tmp_path / 'a.tif', '--checkpoint', checkpoint, '--out', tmp_path / 'out']
    code, _, err = call(COMMAND, *arguments)
    assert code == 1
    assert 'states 0.005 um per pixel, which no scanner has (0.1 to 2)' in err
    code, _, _ = call(COMMAND, *arguments, '--mpp', 2)
    assert (code, read_report(tmp_path / 'out/a')['slide']['mpp']) == (0, 2)
