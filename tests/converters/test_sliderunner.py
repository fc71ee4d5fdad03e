"""Reading SlideRunner databases: real ones, small ones, and broken ones."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from foreign_files import change, error_of, write_sliderunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mitouts.converters.document import count_by_split, to_document
from mitouts.converters.sliderunner import SlideRunner
from mitouts.errors import AnnotationError
from mitouts.formats.coco import HARD_NEGATIVE, MITOTIC_FIGURE

REAL = Path(__file__).resolve().parents[2].parent / 'shared' / 'data' / 'annotations'
CLASSES = {1: 'Mitose', 2: 'Hard negative', 5: 'Tumorzelle'}


def _real(name: str) -> Path:
    if not (REAL / name).is_file():
        pytest.skip(f'{name} is not at hand in ../shared/data/annotations')
    return REAL / name


def _points(source: Any) -> list[tuple[str, float, float, int]]:
    return [(each.file_name, each.x, each.y, each.category_id) for each in source.figures]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write_sliderunner(
        tmp_path / 'small.sqlite',
        [(1, 'a.svs', 1000, 800), (2, 'b.svs', None, None), (3, 'empty.svs', 10, 10)],
        [
            {'slide': 1, 'points': [(100.5, 20.25)], 'agreed': 1, 'votes': [(1, 1), (2, 0)]},
            {'slide': 1, 'points': [(7, 8)], 'agreed': 2, 'votes': [(1, 2), (2, 1), (2, 2)]},
            {'slide': 2, 'points': [(10, 20), (31, 60)], 'agreed': 1, 'type': 5},
            {'slide': 2, 'points': [(0, 0), (30, 0), (10, 9)], 'agreed': 2, 'type': 3},
            {'slide': 2, 'points': [(1, 2)], 'agreed': 1, 'deleted': 1},
            {'slide': 2, 'points': [(1, 2)], 'agreed': 5},
            {'slide': 2, 'points': [(1, 2)], 'agreed': 0},
            {'slide': 9, 'points': [(1, 2)], 'agreed': 1},
            {'slide': 1, 'points': [], 'agreed': 1},
        ],
        CLASSES,
        {1: 'Anna', 2: 'Ben'},
    )


def test_midog(tmp_path: Path) -> None:
    source = SlideRunner().read(_real('MIDOG.sqlite'))
    counts = count_by_split(to_document(source, tool='test', arguments={}))
    wanted = {'train': (1378, 2220), 'val': (194, 279), 'test': (149, 215), 'all': (1721, 2714)}
    assert {split: (row['mitotic figure'], row['hard negative']) for split, row in counts.items()} == wanted
    assert counts['all']['images'] == 150
    assert source.notes[0].startswith('data set, by the names of its slides: MIDOG 2021')
    assert any('left out 50 slides' in note for note in source.notes)
    assert source.images[60].mpp == 0.23
    assert source.images[149].extra == {'scanner': 'Aperio CS2'}


def test_midog_has_the_points_of_its_json() -> None:
    from mitouts.converters.midog import Midog

    sqlite = sorted(_points(SlideRunner().read(_real('MIDOG.sqlite'))))
    assert sqlite == sorted(_points(Midog().read(_real('MIDOG.json'))))


def test_tupac_alternative_labels() -> None:
    source = SlideRunner().read(_real('TUPAC_alternativeLabels_training.sqlite'))
    categories = [figure.category_id for figure in source.figures]
    assert (categories.count(MITOTIC_FIGURE), categories.count(HARD_NEGATIVE)) == (1898, 5340)
    assert [image.case_id for image in source.images] == [f'{number:02d}' for number in range(1, 74)]
    assert source.dataset == 'tupac16'
    assert (source.images[0].file_name, source.images[0].width) == ('01_stitched1.tif', 16000)
    assert any('stitched' in note for note in source.notes)


def test_agreed_classes_and_centres(small: Path) -> None:
    source = SlideRunner().read(small)
    assert _points(source) == [
        ('a.svs', 100.5, 20.25, MITOTIC_FIGURE),
        ('a.svs', 7, 8, HARD_NEGATIVE),
        ('b.svs', 20.5, 40, MITOTIC_FIGURE),
        ('b.svs', 15, 4.5, HARD_NEGATIVE),
    ]
    assert [dict(figure.extra) for figure in source.figures[:2]] == [
        {'source_uid': '1', 'votes': {'Anna': 'Mitose'}},
        {'source_uid': '2', 'votes': {'Anna': 'Hard negative', 'Ben': 'Hard negative'}},
    ]


def test_notes_say_what_was_left_out(small: Path) -> None:
    notes = '\n'.join(SlideRunner().read(small).notes)
    for part in (
        'left out 1 annotations that were deleted',
        'left out 2 annotations without coordinates or without a slide (8, 9)',
        "left out 2 annotations of other classes: 0 not agreed on (1), 5 'Tumorzelle' (1)",
        '1 circle, 1 polygon',
        '1 votes were changed',
        'left out 1 slides without any annotation',
    ):
        assert part in notes


def test_empty_slides_of_an_unknown_database_are_kept_only_on_request(small: Path) -> None:
    assert [image.file_name for image in SlideRunner().read(small).images] == ['a.svs', 'b.svs']
    assert [image.file_name for image in SlideRunner(keep_empty=True).read(small).images][2] == 'empty.svs'


def test_an_old_database_without_deleted(tmp_path: Path) -> None:
    path = write_sliderunner(
        tmp_path / 'old.sqlite', [(1, 'a.svs', 1, 1)], [{'slide': 1, 'points': [(0, 0)]}], CLASSES, has_deleted=False
    )
    assert _points(SlideRunner().read(path)) == [('a.svs', 0, 0, MITOTIC_FIGURE)]


@pytest.mark.parametrize(
    ('mitotic', 'hard_negative', 'wanted'),
    [
        ('5', None, [HARD_NEGATIVE, HARD_NEGATIVE, MITOTIC_FIGURE]),
        ('tumorzelle', '1', [HARD_NEGATIVE, HARD_NEGATIVE, MITOTIC_FIGURE]),
        ('Hard negative', 'Mitose', [HARD_NEGATIVE, MITOTIC_FIGURE, HARD_NEGATIVE, MITOTIC_FIGURE]),
    ],
)
def test_classes_by_name_or_number(small: Path, mitotic: str, hard_negative: str | None, wanted: list[int]) -> None:
    source = SlideRunner(mitotic=mitotic, hard_negative=hard_negative).read(small)
    assert [figure.category_id for figure in source.figures] == wanted


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'mitotic': '77'}, r"--mitotic '77' names no class\(es\); there are 0 not agreed on \(1\), 1 'Mitose' \(2\)"),
        ({'mitotic': '2', 'hard_negative': '2'}, 'class 2 cannot be both'),
        ({'hard_negative': 'x'}, "--hard-negative 'x' names no class"),
    ],
)
def test_wrong_classes(small: Path, options: dict[str, str], message: str) -> None:
    with pytest.raises(AnnotationError, match=message):
        SlideRunner(**options).read(small)


@pytest.mark.parametrize('classes', [{1: 'Zone'}, {1: 'Mitosis', 2: 'mitotic_figure'}])
def test_classes_that_cannot_be_told(tmp_path: Path, classes: dict[int, str]) -> None:
    annotations = [{'slide': 1, 'points': [(0, 0)], 'agreed': uid} for uid in classes]
    path = write_sliderunner(tmp_path / 'a.sqlite', [(1, 'a.svs', 1, 1)], annotations, classes)
    with pytest.raises(AnnotationError, match=r'name it with --mitotic: 1 '):
        SlideRunner().read(path)


@pytest.mark.parametrize(
    ('statement', 'message'),
    [
        ('DROP TABLE Annotations_label', r'lacks tables: Annotations_label; it has Annotations, '),
        ('ALTER TABLE Slides RENAME COLUMN filename TO file', r'table Slides lacks columns: filename'),
        ("UPDATE Slides SET filename = '../../etc/passwd' WHERE uid = 1", 'leads out of the folder'),
        ("UPDATE Slides SET filename = 'b.svs' WHERE uid = 1", 'slides 1 and 2 are both called b.svs'),
        ('UPDATE Slides SET filename = NULL', 'slide 1: expected a file name, found None'),
        ("UPDATE Slides SET width = 'wide' WHERE uid = 1", r'slide 1 \(a.svs\): expected width as pixels'),
        ("UPDATE Annotations_coordinates SET coordinateX = 'x' WHERE annoId = 1", 'annotation 1: expected a coord'),
        ('UPDATE Annotations_coordinates SET coordinateX = 9e999 WHERE annoId = 1', 'annotation 1: expected a coord'),
        ('UPDATE Annotations_coordinates SET coordinateY = 1e9', 'larger than any slide'),
        ('UPDATE Annotations SET type = 6 WHERE uid = 1', 'annotation 1 is of type 6, which is no figure'),
        ('UPDATE Annotations SET type = 5 WHERE uid = 1', 'annotation 1 is a circle with 1 coordinates instead of 2'),
        ("UPDATE Annotations SET agreedClass = 'one' WHERE uid = 1", 'expected a whole number as agreedClass'),
        ('UPDATE Classes SET name = 5.5 WHERE uid = 7', None),
        ("UPDATE Classes SET name = X'FF' WHERE uid = 1", 'the name of 1 is not text'),
        ("UPDATE Slides SET filename = CAST(X'FFFE' AS TEXT) WHERE uid = 1", 'the database is damaged'),
    ],
)
def test_nonsense_is_named(small: Path, statement: str, message: str | None) -> None:
    change(small, statement)
    if message is None:
        assert len(SlideRunner().read(small).figures) == 4
        return
    with pytest.raises(AnnotationError, match=message):
        SlideRunner().read(small)


@pytest.mark.parametrize(
    ('data', 'message'),
    [
        (b'', 'the file is empty'),
        (b'version https://git-lfs.github.com/spec/v1\n', 'git lfs pull'),
        (b'\x8f' * 4096, 'not an SQLite database, or an encrypted one'),
        (b'SQLite format 3\0' + b'\0' * 100, 'damaged|not a SlideRunner database'),
    ],
)
def test_other_files(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / 'a.sqlite'
    path.write_bytes(data)
    with pytest.raises(AnnotationError, match=message):
        SlideRunner().read(path)
    with pytest.raises(AnnotationError, match='no such file'):
        SlideRunner().read(tmp_path / 'none.sqlite')


def test_a_truncated_database_is_no_smaller_database(small: Path) -> None:
    data = small.read_bytes()
    small.write_bytes(data[: len(data) - 4096])
    with pytest.raises(AnnotationError, match=f'is cut off after {len(data) - 4096:,} of {len(data):,} bytes'):
        SlideRunner().read(small)


def test_changes_of_an_open_program_are_not_overlooked(small: Path) -> None:
    with closing(sqlite3.connect(small)) as connection:
        connection.execute('PRAGMA journal_mode = WAL')
        connection.execute('UPDATE Annotations SET agreedClass = 2')
        connection.commit()
        with pytest.raises(AnnotationError, match=r'small.sqlite-wal holds changes'):
            SlideRunner().read(small)


def test_reading_leaves_nothing_behind(small: Path) -> None:
    before = small.read_bytes()
    small.chmod(0o444)
    SlideRunner().read(small)
    assert [path.name for path in small.parent.iterdir()] == ['small.sqlite']
    assert small.read_bytes() == before


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    damage=st.dictionaries(st.floats(0, 1, exclude_max=True), st.integers(0, 255), min_size=1, max_size=30),
    kept=st.just(1.0) | st.floats(0, 1),
)
def test_damaged_bytes_never_end_in_a_traceback(
    tmp_path: Path, small: Path, damage: dict[float, int], kept: float
) -> None:
    content = bytearray(small.read_bytes())
    for place, value in damage.items():
        content[16 + int(place * (len(content) - 16))] = value
    path = tmp_path / 'damaged.sqlite'
    path.write_bytes(content[: int(kept * len(content))])
    message = error_of(lambda: to_document(SlideRunner().read(path), tool='test', arguments={}))
    assert not message or str(path) in message or 'no image is left' in message or 'holds no image' in message


def test_a_damaged_name_in_the_schema(small: Path) -> None:
    content = small.read_bytes()
    small.write_bytes(content.replace(b'sqlite_sequence', b'sqlite\xff\x80equence'))
    with pytest.raises(AnnotationError, match='the database is damaged'):
        SlideRunner().read(small)


CELL = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(max_size=5), st.binary(max_size=5))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    column=st.sampled_from(
        [
            ('Slides', 'filename'),
            ('Slides', 'height'),
            ('Annotations', 'slide'),
            ('Annotations', 'type'),
            ('Annotations', 'agreedClass'),
            ('Annotations', 'deleted'),
            ('Annotations_coordinates', 'coordinateX'),
            ('Annotations_coordinates', 'annoId'),
            ('Annotations_label', 'person'),
            ('Annotations_label', 'class'),
            ('Classes', 'name'),
            ('Persons', 'name'),
        ]
    ),
    value=CELL,
)
def test_any_value_in_any_cell(small: Path, column: tuple[str, str], value: Any) -> None:
    with closing(sqlite3.connect(small)) as connection:
        try:
            connection.execute(f'UPDATE {column[0]} SET {column[1]} = ? WHERE uid = 1', (value,))
        except UnicodeEncodeError:
            return
        connection.commit()
    message = error_of(lambda: to_document(SlideRunner().read(small), tool='test', arguments={}))
    assert not message or 'small.sqlite' in message or 'no image is left' in message or 'holds no image' in message


def _in_directories(path: Path, *directories: str | None) -> Path:
    slides = [(uid, '25.tif', 50, 50) for uid in range(1, len(directories) + 1)]
    annotations = [{'slide': uid, 'points': [(uid, 2)]} for uid, *_ in slides]
    write_sliderunner(path, slides, annotations, {1: 'Mitosis', 2: 'Nonmitosis'})
    with closing(sqlite3.connect(path)) as connection, connection:
        for uid, directory in enumerate(directories, start=1):
            connection.execute('UPDATE Slides SET directory = ? WHERE uid = ?', (directory, uid))
    return path


@pytest.mark.parametrize(
    ('directories', 'names'),
    [
        (('D:\\data\\part1\\tif', 'D:\\data\\part2\\tif'), ['part1/tif/25.tif', 'part2/tif/25.tif']),
        (('/data/part1/', '/data/part2'), ['part1/25.tif', 'part2/25.tif']),
        (('C:\\a', '/b/a', None), ['a/25.tif', 'b/a/25.tif', '25.tif']),
        (('', 'x'), ['25.tif', 'x/25.tif']),
    ],
)
def test_slides_of_one_name_are_told_apart_by_their_directories(
    tmp_path: Path, directories: tuple[str | None, ...], names: list[str]
) -> None:
    source = SlideRunner().read(_in_directories(tmp_path / 'a.sqlite', *directories))
    assert [image.file_name for image in source.images] == names
    assert len({image.case_id for image in source.images}) == len(names)
    assert [(figure.file_name, figure.x) for figure in source.figures] == list(zip(names, range(1, 9)))


def test_a_slide_of_its_own_name_needs_no_directory(tmp_path: Path) -> None:
    source = SlideRunner().read(_in_directories(tmp_path / 'a.sqlite', 'D:\\data'))
    assert [(image.file_name, image.case_id) for image in source.images] == [('25.tif', '25')]


@pytest.mark.parametrize('directories', [('D:\\a', 'd:/A/'), ('/a', '/a'), (None, '')])
def test_slides_of_one_name_in_one_directory_are_refused(tmp_path: Path, directories: tuple[Any, ...]) -> None:
    path = _in_directories(tmp_path / 'a.sqlite', *directories)
    with pytest.raises(AnnotationError, match=r'the slides 1 and 2 are both called 25\.tif, in one directory'):
        SlideRunner().read(path)


def test_names_that_differ_in_case_or_ending_share_neither_name_nor_case(tmp_path: Path) -> None:
    path = _in_directories(tmp_path / 'a.sqlite', 'D:\\a', 'D:\\b', 'D:\\a')
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany('UPDATE Slides SET filename = ? WHERE uid = ?', [('25.TIF', 2), ('25.svs', 3)])
    source = SlideRunner().read(path)
    assert [(image.file_name, image.case_id) for image in source.images] == [
        ('a/25.tif', 'a/25'),
        ('b/25.TIF', 'b/25'),
        ('25.svs', '25'),
    ]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE Slides SET filename = '26.tif' WHERE uid = 1")
        connection.execute("UPDATE Slides SET filename = '26.svs' WHERE uid = 2")
    source = SlideRunner().read(path)
    assert [image.case_id for image in source.images] == ['26.tif', '26.svs', '25']


def test_polygons_that_the_middle_of_their_box_misses_give_a_point_inside(tmp_path: Path) -> None:
    # A U, a bow tie, and a triangle that holds the middle of its box.
    shapes = [
        [(0, 0), (6, 0), (6, 30), (24, 30), (24, 0), (30, 0), (30, 36), (0, 36)],
        [(0, 0), (30, 10), (30, 0), (0, 20)],
        [(0, 0), (20, 0), (10, 20)],
    ]
    path = write_sliderunner(
        tmp_path / 'a.sqlite',
        [(1, 'a.svs', 50, 50)],
        [{'slide': 1, 'points': shape, 'type': 3} for shape in shapes],
        {1: 'Mitosis', 2: 'Nonmitosis'},
    )
    u, tie, triangle = [(figure.x, figure.y) for figure in SlideRunner().read(path).figures]
    assert (0 < u[0] < 6) or (24 < u[0] < 30) or (30 < u[1] < 36)
    assert min(10 / 30 * tie[0], 20 - 20 / 30 * tie[0]) < tie[1] < max(10 / 30 * tie[0], 20 - 20 / 30 * tie[0])
    assert triangle == (10, 10)
