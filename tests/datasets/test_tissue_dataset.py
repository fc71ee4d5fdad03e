"""The BCSS layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tissue_experiment import write_pair

from mitouts.datasets import TissueDataset
from mitouts.datasets.tissue_dataset import code_table
from mitouts.engine.config import load_config
from mitouts.errors import AnnotationError, ConfigError
from mitouts.functional.segmentation import IGNORE_INDEX, UNKNOWN_INDEX

REPOSITORY = Path(__file__).resolve().parents[2]
SOME_PIPELINE = [dict(type='LoadImage'), dict(type='LoadLabels'), dict(type='PackTissueSample')]
NAMES = ('TCGA-A1-A0SK-DX1_xmin1', 'TCGA-A2-A04P-DX1_xmin2', 'TCGA-OL-A5D6-DX1_xmin3', 'TCGA-OL-A5D6-DX1_xmin4')


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number, name in enumerate(NAMES):
        codes = np.full((12, 10 + number), 1)
        codes[0] = 0
        codes[5:] = 2
        write_pair(tmp_path, name, codes, mpp=0.25)
    return tmp_path


def dataset(root: Path, **arguments) -> TissueDataset:
    known = dict(classes=['tumour', 'other'], label_map=dict(tumour=[1, 20], other=[2]))
    return TissueDataset(data_root=str(root), **{**known, **arguments})


def test_entries_by_name_with_case_size_and_resolution(root) -> None:
    data = dataset(root)
    infos = [data.get_data_info(index) for index in range(len(data))]
    assert [info['case_id'] for info in infos] == ['TCGA-A1-A0SK', 'TCGA-A2-A04P', 'TCGA-OL-A5D6', 'TCGA-OL-A5D6']
    assert [(info['width'], info['height']) for info in infos] == [(10 + n, 12) for n in range(4)]
    assert {info['mpp'] for info in infos} == {0.25}
    assert [info['img_id'] for info in infos] == [1, 2, 3, 4]
    assert data.metainfo['classes'] == ('tumour', 'other')


def test_a_sample_has_classes_and_ignored_pixels(root) -> None:
    sample = dataset(root, pipeline=SOME_PIPELINE)[0]
    assert sample['inputs'].shape == (3, 12, 10)
    labels = sample['data_samples'].gt_labels.numpy()
    assert (labels[0] == IGNORE_INDEX).all()
    assert (labels[1:5] == 0).all()
    assert (labels[5:] == 1).all()


def test_partition_goes_by_the_beginning_of_the_case(root) -> None:
    partition = dict(val=['TCGA-A2'], test=['TCGA-OL', 'TCGA-EW'])
    sizes = {split: len(dataset(root, split=split, partition=partition)) for split in ('train', 'val', 'test')}
    assert sizes == {'train': 1, 'val': 1, 'test': 2}
    # The ids do not depend on the split.
    assert dataset(root, split='test', partition=partition).get_data_info(0)['img_id'] == 3


def test_a_split_file_names_cases(root) -> None:
    (root / 'splits.csv').write_text('case_id,split\nTCGA-A1-A0SK,val\nTCGA-A2-A04P,ignore\nTCGA-OL-A5D6,train\n')
    assert len(dataset(root, split='train', split_file='splits.csv')) == 2
    assert len(dataset(root, split='val', split_file=str(root / 'splits.csv'))) == 1


def test_the_partition_of_the_bcss_config_is_by_site() -> None:
    config = load_config(REPOSITORY / 'configs' / 'tissue' / 'unet_bcss.py')
    assert not set(config.partition.val) & set(config.partition.test)
    assert all(len(site) == len('TCGA-XX') for site in [*config.partition.val, *config.partition.test])


def test_several_crops_of_an_image(root) -> None:
    data = dataset(root, crops_per_image=3)
    assert len(data) == 12
    assert [data.get_data_info(index)['img_id'] for index in range(4)] == [1, 1, 1, 2]


def test_epochs_draw_differently_and_repeatably(root) -> None:
    data = dataset(root, pipeline=[], seed=5)

    def seeds(epoch: int) -> list[int]:
        data.set_epoch(epoch)
        return [data[index]['augmentation_seed'] for index in range(4)]

    first, second = seeds(0), seeds(1)
    assert first != second
    assert seeds(0) == first


def test_unknown_codes_are_named(root) -> None:
    with pytest.raises(ValueError, match=r'holds codes that the data set does not name \(2\)'):
        dataset(root, label_map=dict(tumour=[1], other=[9]), pipeline=SOME_PIPELINE)[0]


def test_code_table_by_hand() -> None:
    table = code_table(['a', 'b'], dict(b=[7], a=[1, 2]), [0])
    assert table[[0, 1, 2, 3, 7]].tolist() == [IGNORE_INDEX, 0, 0, UNKNOWN_INDEX, 1]


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(label_map=dict(tumour=[1])), r"map each of \['tumour', 'other'\] once"),
        (dict(label_map=dict(tumour=[1], other=[1])), 'the code 1 is named twice'),
        (dict(label_map=dict(tumour=[1], other=[0])), 'the code 0 is named twice'),
        (dict(label_map=dict(tumour=[1], other=[256])), 'between 0 and 255, found 256'),
        (dict(split='train'), 'partition or split_file'),
        (dict(partition=dict(val=['TCGA-A1'])), 'partition or split_file'),
        (dict(crops_per_image=0), 'crops_per_image'),
        (dict(split='val', partition=dict(val=['TCGA'], test=['TCGA-OL'])), 'into val and test'),
    ],
)
def test_configs_that_make_no_sense(root, arguments, message) -> None:
    with pytest.raises(ConfigError, match=message):
        dataset(root, **arguments)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(data_root='nowhere'), 'is no folder'),
        (dict(split='val', partition=dict(val=['TCGA-ZZ'])), r"none of 4 images is in the split 'val'"),
        (dict(case_pattern='slide_[0-9]+'), 'does not begin with a case'),
        (dict(masks='labels'), '4 of 4 label images do not exist'),
    ],
)
def test_data_that_are_not_there(root, arguments, message) -> None:
    with pytest.raises(AnnotationError, match=message):
        dataset(**{'root': root, **arguments}) if 'data_root' not in arguments else TissueDataset(
            classes=['tumour'], label_map=dict(tumour=[1]), **arguments
        )


def test_a_resolution_is_never_guessed(root) -> None:
    path = next((root / 'images').iterdir())
    for folder in ('images', 'masks'):
        (root / folder / path.name).rename(root / folder / 'TCGA-A1-A0SK-DX1.png')
    with pytest.raises(AnnotationError, match='neither given nor part of the name'):
        dataset(root)
    assert dataset(root, mpp=0.5).get_data_info(0)['mpp'] == 0.5


def test_two_images_of_one_label_image_are_refused(root) -> None:
    path = next((root / 'images').iterdir())
    path.with_suffix('.tif').write_bytes(path.read_bytes())
    with pytest.raises(AnnotationError, match=f'have one label image, {path.stem}.png'):
        dataset(root)
