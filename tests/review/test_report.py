"""The report of a review, against counts by hand and scikit-learn's kappa."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from review_samples import decide, item_of, make_store, write_review_files
from rich.console import Console
from sklearn.metrics import cohen_kappa_score

from mitouts.errors import ReviewError
from mitouts.functional.kappa import fleiss_kappa
from mitouts.review.report import build_report
from mitouts.review.report_text import TITLE, print_report, report_markdown

# Item (image, annotation) -> what anna, ben and carl say of it.
SAID = {
    (1, 1): ('mitotic', 'mitotic', 'mitotic'),
    (2, 2): ('look_alike', 'look_alike', None),
    (3, 3): ('mitotic', 'look_alike', 'unsure'),
    (3, None): ('look_alike', 'mitotic', None),
    (4, 4): ('mitotic', 'mitotic', None),
    (4, 5): ('unsure', 'unsure', None),
    (4, None): ('mitotic', 'unsure', None),
}


@pytest.fixture
def store(tmp_path: Path):
    with make_store(write_review_files(tmp_path), include='all') as made:
        for (image_id, annotation_id), labels in SAID.items():
            item = item_of(made, image_id, annotation_id)
            for rater, label in zip(('anna', 'ben', 'carl'), labels):
                if label is not None:
                    decide(made, item, label, rater=rater, seconds={'anna': 1.0, 'ben': 3.0, 'carl': 8.0}[rater])
        # A tie of anna and ben is broken.
        decide(made, item_of(made, 3), 'look_alike', rater='dora', role='tiebreaker', seconds=2.0)
        yield made


@pytest.fixture
def report(store):
    return build_report(store, num_bootstrap=100)


def test_items_by_new_label(report):
    assert report['items'] == {
        'total': 9,
        'mitotic': 3,
        'look_alike': 2,
        'undecided': 2,
        'not_reviewed': 2,
        'tied': 3,
        'why': {'agreed': 4, 'not_reviewed': 2, 'tie': 1, 'tie_broken': 1, 'unsure': 1},
        'added_figures': 0,
    }


def test_old_against_new_labels(report):
    # The whole image 6 and the figure of image 7 are called mitotic and not reviewed.
    assert report['confusion'] == {
        'mitotic': {'mitotic': 2, 'look_alike': 1, 'undecided': 2, 'not_reviewed': 2},
        'look_alike': {'mitotic': 0, 'look_alike': 0, 'undecided': 0, 'not_reviewed': 0},
        'not annotated': {'mitotic': 1, 'look_alike': 1, 'undecided': 0, 'not_reviewed': 0},
    }


def test_cases(report):
    rows = {case: tuple(row.values()) for case, row in report['cases'].items()}
    assert list(report['cases']['A']) == ['items', 'mitotic', 'look_alike', 'undecided', 'not_reviewed', 'changed']
    assert rows == {'A': (2, 1, 1, 0, 0, 1), 'B': (5, 2, 1, 2, 0, 1), 'C': (1, 0, 0, 0, 1, 0), 'D': (1, 0, 0, 0, 1, 0)}


def test_raters_and_decisions(store):
    extra = item_of(store, 6)
    decide(store, extra, 'mitotic', rater='anna', seconds=9.0, blinded=False, moved_px=(1, 1), added_px=[(5, 5)] * 2)
    decide(store, extra, 'look_alike', rater='anna', seconds=9.0)
    store.undo(request='u', rater='anna')
    report = build_report(store, num_bootstrap=0)
    assert report['raters']['anna'] == {
        'roles': ['rater'],
        'items': 8,
        'mitotic': 5,
        'look_alike': 2,
        'unsure': 1,
        'moved': 1,
        'added': 2,
        'decisions': 9,
        'undone': 1,
        'blinded': 8,
        'open_mode': 1,
        'median_seconds': 1.0,
    }
    assert list(report['raters']) == ['anna', 'ben', 'carl', 'dora']
    assert report['raters']['dora']['roles'] == ['tiebreaker']
    made = 7 + 7 + 2 + 1 + 2
    assert report['decisions'] == {
        'made': made,
        'undone': 1,
        'in_force': made - 1,
        'blinded': made - 1,
        'open_mode': 1,
        'median_seconds': 3.0,
    }


def test_kappa_of_pairs(report):
    both = [(first, second) for first, second, _ in SAID.values()]
    definite = [pair for pair in both if 'unsure' not in pair]
    (pair, with_carl, other) = report['agreement']['pairs']
    assert [pair['raters'], with_carl['raters'], other['raters']] == [
        ['anna', 'ben'],
        ['anna', 'carl'],
        ['ben', 'carl'],
    ]
    for key, pairs in (('two_labels', definite), ('three_labels', both)):
        assert pair[key]['kappa'] == pytest.approx(cohen_kappa_score(*zip(*pairs)))
        assert pair[key]['items'] == len(pairs)
        assert pair[key]['cases'] == 2
        assert pair[key]['ci95'] is not None
    assert pair['two_labels']['share'] == pytest.approx(3 / 5)
    # One item, on which they agree: chance would as well.
    assert (with_carl['two_labels']['kappa'], with_carl['two_labels']['items']) == (None, 1)


def test_kappa_of_all(report):
    names = ('mitotic', 'look_alike', 'unsure')
    counts = np.array([[labels.count(name) for name in names] for labels in SAID.values()])
    found = report['agreement']['fleiss']
    assert found['three_labels']['kappa'] == pytest.approx(fleiss_kappa(counts, num_bootstrap=0).kappa)
    assert found['two_labels']['kappa'] == pytest.approx(fleiss_kappa(counts[:, :2], num_bootstrap=0).kappa)
    assert (found['three_labels']['items'], found['two_labels']['items']) == (7, 5)


def test_the_rule_changes_the_new_labels(store):
    unanimous = build_report(store, rule='unanimous', num_bootstrap=0)
    # Items 1, 2 and 4 alone: everyone agrees.
    assert (unanimous['items']['mitotic'], unanimous['items']['look_alike']) == (2, 1)
    with pytest.raises(ReviewError, match='unknown rule'):
        build_report(store, rule='loudest')


def test_a_review_without_decisions(tmp_path):
    with make_store(write_review_files(tmp_path)) as store:
        report = build_report(store)
    assert report['items']['not_reviewed'] == report['items']['total'] == 8
    assert report['agreement']['pairs'] == []
    assert report['agreement']['fleiss']['two_labels']['kappa'] is None
    assert report['decisions']['median_seconds'] is None
    assert 'median unknown each' in report_markdown(report)


def test_it_is_json(store, report):
    assert json.loads(json.dumps(report)) == report
    info = report['info']['mitouts']
    assert (info['database'], info['rule']) == (store.database_id, 'majority')
    assert info['review']['teacher_sha256'] == 'ab' * 32


def test_it_is_printed(report):
    console = Console(file=StringIO(), width=140, highlight=False)
    print_report(report, console)
    text = console.file.getvalue()
    for said in (
        '9 items: 3 mitotic figures, 2 look-alikes, 2 undecided, 2 not reviewed; 3 tied; 0 figures added.',
        '17 decisions (17 blinded, 0 in open mode), 0 taken back; median 3.0 s each.',
        'anna and ben (Cohen)',
        'all raters (Fleiss)',
        'not annotated',
        'tiebreaker',
    ):
        assert said in text


def test_names_stay_text(tmp_path):
    with make_store(write_review_files(tmp_path)) as store:
        decide(store, item_of(store, 2, 2), 'mitotic', rater='[red]a|b*', seconds=1.0)
        report = build_report(store)
    markdown = report_markdown(report)
    assert markdown.startswith(f'{TITLE}\n')
    assert r'\[red\]a\|b\*' in markdown
    (header,) = [line for line in markdown.splitlines() if 'red' in line]
    assert header.replace(r'\|', '').count('|') == 3
    console = Console(file=StringIO(), width=140, highlight=False)
    print_report(report, console)
    assert '[red]a|b*' in console.file.getvalue()
