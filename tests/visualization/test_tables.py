from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from mitouts.visualization.tables import (
    COLUMNS,
    distillation_sentence,
    localization_note,
    result_columns,
    result_rows,
    results_markdown,
    results_table,
)

TEACHER: dict[str, Any] = {
    'stage': 'teacher',
    'images': 800,
    'image_threshold': 0.43,
    'map_threshold': 0.43,
    'minutes': 1.96,
    'image': {'auc': 0.95318, 'f1': 0.891, 'accuracy': 0.9},
    'one_to_one': {
        'tp': 120,
        'fp': 30,
        'fn': 29,
        'precision': 0.8,
        'recall': 0.80537,
        'f1': 0.80268,
        'f1_ci95': [0.71, 0.8616],
    },
    'presence': {
        'tp': 122,
        'fp': 28,
        'fn': 28,
        'precision': 0.81333,
        'recall': 0.81333,
        'f1': 0.81333,
        'f1_ci95': None,
    },
}
STUDENT: dict[str, Any] = {
    'stage': 'student',
    'images': 650,
    'minutes': None,
    'image': {'auc': None, 'f1': 0.5, 'accuracy': 0.5},
    'one_to_one': {'tp': 0, 'fp': 0, 'fn': 3, 'precision': 0.0, 'recall': 0.0, 'f1': 0.0, 'f1_ci95': None},
}
DISTILLATION = {
    'kept': 650,
    'dropped': 150,
    'noise_dropped': 110,
    'noise_total': 120,
    'clean_kept': 240,
    'clean_total': 280,
}

MARKDOWN = """\
| Stage | Images | Image AUC | Image F1 | Protocol | P | R | F1 | 95% CI of F1 | TP | FP | FN | Minutes |
| :-- | --: | --: | --: | :-- | --: | --: | --: | --: | --: | --: | --: | --: |
| teacher | 800 | 0.953 | 0.891 | one-to-one | 0.800 | 0.805 | 0.803 | 0.710–0.862 | 120 | 30 | 29 | 2.0 |
|  |  |  |  | presence | 0.813 | 0.813 | 0.813 | not available | 122 | 28 | 28 |  |
| student | 650 | n/a | 0.500 | one-to-one | 0.000 | 0.000 | 0.000 | not available | 0 | 0 | 3 | n/a |

Distillation kept 650 of 800 training images: it dropped 110 of 120 (92%) mislabelled images and kept 240 of 280 (86%) clean positive ones.
"""  # noqa: E501


def rendered(stages: list[dict[str, Any]], width: int = 80) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(results_table(stages))
    return console.export_text()


def test_markdown():
    assert results_markdown([TEACHER, STUDENT], DISTILLATION) == MARKDOWN


def test_markdown_without_distillation_ends_with_the_table():
    assert results_markdown([TEACHER, STUDENT]) == MARKDOWN.partition('\n\n')[0] + '\n'


def test_a_pipe_in_a_name_does_not_break_the_table():
    assert r'| a\|b |' in results_markdown([{**STUDENT, 'stage': 'a|b'}])


def test_a_second_radius_gets_lines_of_its_own_after_the_first():
    near = {**TEACHER['one_to_one'], 'tp': 99}
    rows = result_rows([{'stage': 'teacher', 'one_to_one@15px': near, **TEACHER}])
    assert [row[COLUMNS.index('Protocol')] for row in rows] == ['one-to-one', 'presence', 'one-to-one 15px']
    assert rows[2][COLUMNS.index('TP')] == '99'


def test_an_untested_stage_has_a_line_without_numbers():
    (row,) = result_rows([{'stage': 'teacher'}])
    assert row == [
        'teacher',
        'n/a',
        'n/a',
        'n/a',
        'one-to-one',
        'n/a',
        'n/a',
        'n/a',
        'not available',
        'n/a',
        'n/a',
        'n/a',
        'n/a',
    ]


def test_distillation_without_known_truth():
    assert distillation_sentence({'kept': 3, 'dropped': 1}) == 'Distillation kept 3 of 4 training images.'


def test_distillation_that_relabels():
    sentence = distillation_sentence({'kept': 4, 'dropped': 0, 'relabelled': 2})
    assert sentence == 'Distillation kept 4 of 4 training images: it relabelled 2 images.'


def test_terminal_table_fits_80_characters_uncut():
    text = rendered([TEACHER, STUDENT])
    assert max(len(line) for line in text.splitlines()) <= 80
    for cell in ('teacher', 'one-to-one', '0.953', '0.710–0.862', 'not available', '120', '2.0', '95% CI', 'Image'):
        assert cell in text
    assert '…' not in text


def test_empty_tables_do_not_fail():
    assert results_markdown([]).count('\n') == 2
    assert 'Stage' in rendered([])


UNSCORED = dict.fromkeys(('tp', 'fp', 'fn', 'precision', 'recall', 'f1', 'f1_ci95'))
BY_LABEL: dict[str, Any] = {
    'stage': 'teacher',
    'images': 16,
    'test_images': 8,
    'images_without_points': 4,
    'minutes': 0.5,
    'image': {'auc': 0.875, 'f1': 0.75},
    'one_to_one': {'protocol': 'one_to_one', **UNSCORED, 'radius': '30 px'},
    'presence': {'protocol': 'presence', **UNSCORED, 'radius': '30 px'},
}


def test_without_annotated_points_the_table_has_no_columns_for_them():
    text = results_markdown([BY_LABEL])
    assert text.splitlines()[0] == '| Stage | Images | Image AUC | Image F1 | Minutes |'
    assert text.splitlines()[2] == '| teacher | 16 | 0.875 | 0.750 | 0.5 |'
    assert 'Nothing is said about localization' in text
    assert 'one-to-one' not in rendered([BY_LABEL])
    assert len(result_rows([BY_LABEL])[0]) == len(result_columns([BY_LABEL])) == 5


def test_a_stage_without_annotated_points_beside_one_with_them():
    rows = result_rows([TEACHER, BY_LABEL])
    assert [row[COLUMNS.index('F1')] for row in rows] == ['0.803', '0.813', 'n/a']
    assert 'one-to-one' in rendered([TEACHER, BY_LABEL])


def test_the_images_that_are_not_judged_are_counted():
    scored = {**TEACHER, 'test_images': 40, 'images_without_points': 3}
    assert localization_note([scored]) == (
        'Localization is not judged on 3 of 40 test images, which are labelled positive without an annotated point.'
    )
    assert localization_note([TEACHER]) == ''


def test_counts_without_a_figure_are_shown_without_ratios():
    block = {**UNSCORED, 'tp': 0, 'fp': 7, 'fn': 0}
    (row,) = result_rows([{'stage': 'teacher', 'one_to_one': block}])
    assert row[4:] == ['one-to-one', 'n/a', 'n/a', 'n/a', 'not available', '0', '7', '0', 'n/a']


def test_a_distillation_says_what_it_could_not_compare():
    nothing = distillation_sentence({'kept': 9, 'dropped': 0, 'not_compared': 4, 'positives': 4})
    assert 'Nothing could be compared: none of the 4 positive images has an annotated point.' in nothing
    some = distillation_sentence({'kept': 8, 'dropped': 1, 'not_compared': 2, 'positives': 4})
    assert some.endswith('2 of 4 positive images have no annotated point and were not compared.')


def test_weighted_images_are_reported_as_what_they_count_as():
    counts = {'kept': 33, 'dropped': 0, 'weighted': 12, 'noise_dropped': 0, 'noise_total': 9, 'clean_total': 24}
    sums = {'weight_sum': 21.43, 'noise_weight_sum': 2.13, 'clean_weight_sum': 19.3, 'clean_kept': 24}
    assert distillation_sentence({**counts, **sums}) == (
        'Distillation kept 33 of 33 training images, 12 of them with a weight below 1: all together count as 21.4 of '
        '33 (65%), mislabelled images count as 2.1 of 9 (24%), clean positive ones count as 19.3 of 24 (80%).'
    )
    assert distillation_sentence({**counts, 'weight_sum': 30.0, 'relabelled': 2}).endswith(
        ': all together count as 30 of 33 (91%); it relabelled 2 images.'
    )
