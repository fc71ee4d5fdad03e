"""What classes are called, and whether the ids of an annotation file agree."""

from __future__ import annotations

from pathlib import Path

import pytest

from mitouts.errors import AnnotationError, AnnotationWarning
from mitouts.formats.class_names import HARD_NEGATIVE, MITOTIC_FIGURE, check_category_names, known_category
from mitouts.formats.coco import make_document, make_image, read_coco, write_json

MITOTIC = ['mitotic figure', 'Mitotic_Figures', 'MitoticFigure', 'mitosis', ' Mitoses', 'Mitose', 'Mitosen']
LOOK_ALIKES = [
    'hard negative', 'HardNegative', 'Hard negatives', 'hard negative look-alike', 'hard imposter', 'imposter',
    'Impostors', 'Nonmitosis', 'Non-mitosis', 'non mitotic', 'nonmitotic cell', 'non-mitotic figure',
    'Non‑mitotic figure', 'not mitotic figure', 'No mitosis', 'keine Mitose', 'pseudomitosis', 'mitosis-like',
    'mitotic-like figure', 'mitotic figure look alike', 'lookalikes', 'mimicker',
]  # fmt: skip
OTHERS = ['', 'MF', 'tumour', 'NMF', 'atypical mitotic figure', 'mitotic hotspot', 'nucleus', 'negative', 'apoptosis']


@pytest.mark.parametrize('name', MITOTIC)
def test_mitotic_figures(name: str) -> None:
    assert known_category(name) == MITOTIC_FIGURE


@pytest.mark.parametrize('name', LOOK_ALIKES)
def test_look_alikes(name: str) -> None:
    assert known_category(name) == HARD_NEGATIVE


@pytest.mark.parametrize('name', OTHERS)
def test_other_names_mean_neither(name: str) -> None:
    assert known_category(name) is None


@pytest.mark.parametrize('names', [{1: m, 2: n} for m, n in zip(MITOTIC, LOOK_ALIKES)] + [{1: 'mitosis'}, {7: 'x'}])
def test_ids_that_agree_with_their_names_pass(names: dict[int, str]) -> None:
    check_category_names(Path('a.json'), names)


@pytest.mark.parametrize(
    ('names', 'number', 'name'),
    [
        ({1: 'non-mitotic figure'}, 1, 'non-mitotic figure'),
        ({1: 'hard imposter', 2: 'mitosis'}, 1, 'hard imposter'),
        ({0: 'mitotic figure', 1: 'Nonmitosis'}, 1, 'Nonmitosis'),
        ({1: 'cell', 2: 'Mitose'}, 2, 'Mitose'),
    ],
)
@pytest.mark.filterwarnings('ignore::mitouts.errors.AnnotationWarning')
def test_exchanged_ids_are_refused(names: dict[int, str], number: int, name: str) -> None:
    with pytest.raises(AnnotationError, match=f'a.json: category {number} is called') as caught:
        check_category_names(Path('a.json'), names)
    assert repr(name) in str(caught.value)
    assert 'give mitotic figures the id 1 and look-alikes 2' in str(caught.value)


@pytest.mark.parametrize(
    ('names', 'message'),
    [
        ({1: 'nucleus'}, "category 1 is called 'nucleus'.*taken for mitotic figures"),
        ({1: 'mitosis', 2: 'tumour'}, "category 2 is called 'tumour'.*taken for look-alikes"),
        ({0: 'mitotic figure'}, "category 0 is called 'mitotic figure'.*that of mitotic figures is 1"),
        ({1: 'mitosis', 3: 'imposter'}, "category 3 is called 'imposter'.*that of look-alikes is 2"),
    ],
)
def test_other_names_warn(names: dict[int, str], message: str) -> None:
    with pytest.warns(AnnotationWarning, match=message):
        check_category_names(Path('a.json'), names)


def test_every_reading_of_a_file_checks_its_names(tmp_path: Path) -> None:
    document = make_document([make_image(1, 'a.png', 9, 9, case_id='A')], [], name='n', tool='t')
    document['categories'][0]['name'], document['categories'][1]['name'] = 'hard negative', 'mitotic figure'
    write_json(tmp_path / 'a.json', document)
    with pytest.raises(AnnotationError, match='category 1 is called'):
        read_coco(tmp_path / 'a.json')
    document['categories'][0]['name'] = None
    write_json(tmp_path / 'a.json', document)
    with pytest.raises(AnnotationError, match='category 1: name must be text, found None'):
        read_coco(tmp_path / 'a.json')
