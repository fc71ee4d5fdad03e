"""A slide's counts and files, against counts by hand and readers of other libraries."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from matplotlib.path import Path as Outline

import mitouts
from mitouts.errors import AnnotationError
from mitouts.formats.grand_challenge import read_points
from mitouts.formats.predictions import read_predictions
from mitouts.formats.regions import read_regions
from mitouts.functional.counting import counted_tiles
from mitouts.imaging.image import write_rgb
from mitouts.wsi.counts import SlideReport, make_provenance, make_report
from mitouts.wsi.report import FILES, read_crops, write_report
from mitouts.wsi.slide import SlideFindings
from mitouts.wsi.tiles import Rectangle

WIDTH, HEIGHT, MPP, CELL_PX = 1000, 800, 2.0, 10.0
CALIBRATION = {'image_threshold': 0.4, 'map_threshold': 0.5, 'mpp': 2.0}
PROVENANCE = make_provenance('runs/best.pth', 'ab' * 32, CALIBRATION)
# Tiles have 128 px: the tumour is columns 0-5 and rows 0-3 of them, 24 tiles of 0.256 mm a side.
POINTS = np.array(
    [
        [100.0, 100.0, 0.99],
        [110.0, 104.0, 0.98],
        [900.0, 700.0, 0.90],
        [120.25, 130.5, 0.75],
        [600.0, 400.0, 0.51],
        [300.0, 300.0, 0.50],
        [310.0, 300.0, 0.20],
    ]
)


@pytest.fixture
def findings(tmp_path: Path) -> SlideFindings:
    pixels = np.full((HEIGHT, WIDTH, 3), 240, np.uint8)
    pixels[:512, :768] = (210, 140, 190)
    for x, y in POINTS[:, :2].astype(int).tolist():
        cv2.circle(pixels, (x, y), 4, (60, 20, 90), -1)
    path = tmp_path / 'a slide, Größe 1.png'
    write_rgb(path, pixels)
    tumour = np.zeros((80, 100))
    tumour[:52, :77] = 1.0
    tiles = counted_tiles(tumour, cell_px=CELL_PX, tile_px=128.0, slide_size_px=(WIDTH, HEIGHT), mpp=MPP)
    return SlideFindings(
        path=path,
        dimensions=(WIDTH, HEIGHT),
        mpp=MPP,
        bounds_xy_px=(40, 8),
        points=POINTS,
        map_threshold=0.5,
        thumbnail=cv2.resize(pixels, (100, 80), interpolation=cv2.INTER_AREA),
        tissue=tumour > 0,
        tumour=tumour,
        tumour_from='region',
        cell_px=(CELL_PX, CELL_PX),
        tiles=tiles,
        unreadable=(Rectangle(0, 512, 64, 64),),
        stain_fit=None,
        stain_note='the model was trained on images as they are',
        megapixels=0.8,
        seconds={'network': 1.5},
    )


def _report(findings: SlideFindings, **options: Any) -> SlideReport:
    return make_report(
        findings, provenance=PROVENANCE, **{'roi_areas_mm2': (0.09, 0.25), 'min_area_mm2': 1.0, **options}
    )


def test_counts_by_hand(findings: SlideFindings) -> None:
    report = _report(findings)
    # 24 tiles of 0.256 mm a side; the point at the threshold and those below are no figures, one figure is outside.
    assert report.counts.num_tiles == 24
    assert report.counts.counted_mm2 == pytest.approx(24 * 0.256**2)
    assert (report.counts.figures, report.counts.count) == (5, 4)
    assert report.is_counted.tolist() == [True, True, False, True, True]
    assert report.counts.per_mm2 == pytest.approx(4 / (24 * 0.256**2))


def test_the_hottest_region_by_hand(findings: SlideFindings) -> None:
    small = _report(findings).hotspots[0]
    # A side of 0.3 mm is 150 px: it holds the three figures near (110, 110).
    assert small.hotspot is not None
    assert small.hotspot.count == 3
    assert small.counted_share == pytest.approx(1.0)
    assert small.count_ci95 == pytest.approx((0.6187, 8.7673), abs=1e-4)
    assert small.per_mm2 == pytest.approx(3 / 0.09)


def test_a_region_that_hangs_over(findings: SlideFindings) -> None:
    only = replace(findings, points=np.array([[760.0, 500.0, 0.9], [620.0, 400.0, 0.8]]))
    (region,) = _report(only, roi_areas_mm2=(0.16,)).hotspots
    # 200 px a side around (690, 450): columns 590 to 790 and rows 350 to 550, of which 768 and 512 end the tumour.
    assert region.hotspot is not None
    assert region.counted_share == pytest.approx((767.5 - 590) / 200 * (511.5 - 350) / 200)


def test_why_there_is_no_region(findings: SlideFindings) -> None:
    report = _report(findings, roi_areas_mm2=(9.0,))
    assert report.hotspots[0].missing_because == 'such a square does not fit onto the slide'
    empty = _report(replace(findings, points=np.zeros((0, 3))))
    assert empty.hotspots[0].missing_because == 'no figure lies in a counted tile'
    assert empty.counts.count == 0


def test_an_excluded_slide_says_why_and_has_no_rates(findings: SlideFindings) -> None:
    document = make_report(findings, provenance=PROVENANCE, roi_areas_mm2=(0.09,)).to_dict()
    assert document['counts']['excluded_because'] == '1.57 mm2 counted, less than 1.59 mm2'
    assert (document['counts']['per_mm2'], document['hotspots'][0]['per_mm2']) == (None, None)
    assert document['hotspots'][0]['count'] == 3


def test_the_report_names_what_it_comes_from(findings: SlideFindings) -> None:
    document = json.loads(json.dumps(_report(findings).to_dict(), allow_nan=False))
    assert document['provenance'] == {
        'checkpoint': 'best.pth',
        'checkpoint_sha256': 'ab' * 32,
        'image_threshold': 0.4,
        'map_threshold': 0.5,
        'map_threshold_reason': 'the one for images: the checkpoint carries none for slides',
        'model_mpp': 2.0,
        'rotations': 1,
        'slide_mpp': 2.0,
        'software': f'mitouts {mitouts.__version__}',
        'use': 'for research use only',
    }
    assert document['counted_area']['in_words'] == (
        'the given region; tiles of 256 um whose share in the region is at least 0.40'
    )
    assert document['unreadable']['rectangles_px'] == [[0, 512, 64, 64]]
    assert document['slide'] == {
        'file_name': 'a slide, Größe 1.png',
        'path': findings.path.as_posix(),
        'width_px': WIDTH,
        'height_px': HEIGHT,
        'mpp': MPP,
        'bounds_xy_px': [40, 8],
        'colour_doubt': None,
    }
    assert document['remarks'] == [
        'counted in the given region',
        'rates on less than 1.59 mm2, as asked for',
        '1 further figure outside the counted tiles',
    ]
    with pytest.raises(AnnotationError, match='must name the checkpoint'):
        make_report(findings, provenance={})


def test_every_file_names_the_model_and_its_use(findings: SlideFindings, tmp_path: Path) -> None:
    paths = write_report(_report(findings), tmp_path / 'out')
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == sorted(FILES) == sorted(paths)
    for name, path in paths.items():
        if name != 'overview.png':
            text = path.read_text(encoding='utf-8')
            for fact in ('best.pth', 'ab' * 32, 'map_threshold', 'slide_mpp', mitouts.__version__, 'research use only'):
                assert fact in text, (name, fact)


def test_files_are_the_same_each_time(findings: SlideFindings, tmp_path: Path) -> None:
    first, second = (write_report(_report(findings), tmp_path / name) for name in ('one', 'two'))
    for name in FILES:
        assert first[name].read_bytes() == second[name].read_bytes(), name


def test_the_table_as_numpy_reads_it(findings: SlideFindings, tmp_path: Path) -> None:
    path = write_report(_report(findings), tmp_path / 'out')['figures.csv']
    lines = path.read_text(encoding='utf-8').splitlines()
    header = next(line for line in lines if not line.startswith('#'))
    assert header == 'x_px,y_px,x_um,y_um,score,in_counted_tile'
    assert lines[0] == '# slide: a slide, Größe 1.png'
    table = np.loadtxt([line for line in lines if line != header], delimiter=',')
    np.testing.assert_allclose(table[:, [0, 1, 4]], POINTS[:5], atol=5e-4)
    np.testing.assert_allclose(table[:, 2:4], POINTS[:5, :2] * MPP, atol=5e-4)
    assert table[:, 5].tolist() == [1, 1, 0, 1, 1]


def test_predictions_keep_weak_points(findings: SlideFindings, tmp_path: Path) -> None:
    predictions = read_predictions(write_report(_report(findings), tmp_path / 'out')['predictions.json'])
    assert list(predictions.images) == [1]
    assert predictions.images[1].score == 0.99
    np.testing.assert_array_equal(predictions.images[1].points, POINTS)


def test_grand_challenge_in_millimetres(findings: SlideFindings, tmp_path: Path) -> None:
    points = read_points(write_report(_report(findings), tmp_path / 'out')['grand_challenge.json'])
    assert [point.x for point in points] == pytest.approx((POINTS[:, 0] * 0.002).tolist())
    # The point at the threshold is no figure.
    assert [point.name for point in points] == ['mitotic figure'] * 5 + ['non-mitotic figure'] * 2


def test_what_qupath_is_given(findings: SlideFindings, tmp_path: Path) -> None:
    path = write_report(_report(findings), tmp_path / 'out')['qupath.geojson']
    features = json.loads(path.read_text())['features']
    assert len({uuid.UUID(feature['id']) for feature in features}) == len(features)
    assert all(len(feature['properties']['classification']['color']) == 3 for feature in features)
    detections = [feature for feature in features if feature['properties']['objectType'] == 'detection']
    # QuPath's origin is the corner of the first pixel of the bounds.
    places = np.array([feature['geometry']['coordinates'] for feature in detections])
    np.testing.assert_allclose(places, POINTS[:5, :2] + 0.5 - (40, 8))
    scores = [feature['properties']['measurements']['probability'] for feature in detections]
    assert scores == POINTS[:5, 2].tolist()
    names = [feature['properties']['classification']['name'] for feature in features]
    assert names[:4] == ['tissue', 'counted area', 'hottest region', 'hottest region']


@pytest.mark.filterwarnings('ignore::mitouts.errors.AnnotationWarning')
def test_areas_come_back_from_qupath(findings: SlideFindings, tmp_path: Path) -> None:
    path = write_report(_report(findings), tmp_path / 'out')['qupath.geojson']
    (area,) = read_regions(path, findings.bounds_xy_px, classes=['counted area'])
    assert area[0].min(axis=0).tolist() == [-0.5, -0.5]
    assert area[0].max(axis=0).tolist() == [767.5, 511.5]
    small = read_regions(path, findings.bounds_xy_px, classes=['hottest region'])[0]
    assert Outline(small[0]).contains_points(POINTS[:5, :2]).sum() == 3


def test_areas_end_with_the_slide(findings: SlideFindings, tmp_path: Path) -> None:
    tumour = np.ones((80, 100))
    tiles = counted_tiles(tumour, cell_px=CELL_PX, tile_px=128.0, slide_size_px=(WIDTH, HEIGHT), mpp=MPP)
    whole = replace(findings, tiles=tiles, tissue=tumour > 0, points=np.zeros((0, 3)), bounds_xy_px=(0, 0))
    path = write_report(_report(whole), tmp_path / 'out')['qupath.geojson']
    (tissue,) = read_regions(path, classes=['tissue'])
    (area,) = read_regions(path, classes=['counted area'])
    assert tissue[0].max(axis=0).tolist() == [WIDTH - 0.5, HEIGHT - 0.5]
    # The last column of tiles is 104 px wide and counts, the last row is 32 px high and does not.
    assert area[0].max(axis=0).tolist() == [WIDTH - 0.5, 6 * 128 - 0.5]


def test_crops_are_centred_on_their_points(findings: SlideFindings) -> None:
    crops = read_crops(findings, POINTS[:1, :2], MPP)
    dark = np.argwhere(crops[0][..., 1] < 60)
    # The disc of the first figure and part of the second; the first one's centre is the crop's.
    assert crops[0].shape == (64, 64, 3)
    assert [31, 31] in dark.tolist() or [32, 32] in dark.tolist()
    outside = read_crops(findings, np.array([[-500.0, -500.0]]), MPP)
    assert (outside[0] == 255).all()


def test_nothing_found_is_written_too(findings: SlideFindings, tmp_path: Path) -> None:
    paths = write_report(_report(replace(findings, points=np.zeros((0, 3)))), tmp_path / 'out')
    assert paths['figures.csv'].read_text(encoding='utf-8').splitlines()[-1].startswith('x_px,')
    assert read_predictions(paths['predictions.json']).images[1].score == 0.0
