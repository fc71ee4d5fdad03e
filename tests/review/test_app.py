import json
import re
import time
import uuid
from dataclasses import replace

import pytest
from review_requests import Review, make_items

from mitouts.review.assets import load_assets
from mitouts.review.store import ReviewStore


@pytest.fixture
def review(tmp_path):
    made = Review(tmp_path, make_items(8))
    yield made
    made.close()


@pytest.fixture
def anna(review):
    return review.client('anna')


@pytest.fixture
def opened(tmp_path):
    made = Review(tmp_path, make_items(8), blinded=False)
    yield made
    made.close()


def test_the_session_says_who_and_what(review, anna):
    assert anna.get('/api/session').json == {
        'rater': 'anna',
        'role': 'rater',
        'blinded': True,
        'database': review.store.database_id,
        'total': 8,
        'version': anna.get('/api/session').json['version'],
    }
    assert review.client('tom').get('/api/session').json['total'] == 0


def test_items_come_in_columns(anna):
    anna.decide(3, 'unsure')
    assert anna.get('/api/items').json == {
        'id': [1, 2, 3, 4, 5, 6, 7, 8],
        'cases': ['case_0', 'case_1', 'case_2', 'case_3'],
        'case': [0, 1, 2, 3, 0, 1, 2, 3],
        'scanners': ['', 'S360'],
        'scanner': [0, 1, 0, 1, 0, 1, 0, 1],
        'state': ['open', 'open', 'unsure', 'open', 'open', 'open', 'open', 'open'],
    }


def test_open_items_come_by_disagreement_with_its_reason(opened):
    columns = opened.client().get('/api/items').json
    assert columns['id'] == [8, 7, 6, 5, 4, 3, 2, 1]
    assert columns['reasons'] == ['elsewhere', 'no_prediction']
    assert columns['reason'] == [0, 1, 0, 0, 1, 0, 0, 1]
    assert columns['distance_px'] == [17, 16, 15, 14, 13, 12, 11, 10]
    assert columns['score'] == [0.625, 0.375, 0.625, 0.625, 0.375, 0.625, 0.625, 0.375]


def test_an_item_is_told_without_its_place_in_the_image(anna):
    anna.decide(2, 'mitotic', moved_px=[1.5, -2], added_px=[[3, 4], [-5, 0.25]], seconds=2)
    assert anna.get('/api/items/2').json == {
        'id': 2,
        'kind': 'point',
        'case': 'case_1',
        'scanner': 'S360',
        'mpp': 1.0,
        'field_px': 97,
        # The image begins 27 px left of the anchor and 20 above it, each half a pixel further at the pixel's edge.
        'image_px': [-27.5, -20.5, 48.5, 48.5],
        'state': 'mitotic',
        'decision': {'label': 'mitotic', 'moved_px': [1.5, -2], 'added_px': [[3, 4], [-5, 0.25]]},
    }
    assert anna.get('/api/items/1').json['decision'] is None


def test_an_open_item_shows_all_points_of_its_image(opened):
    told = opened.client().get('/api/items/1').json
    assert (told['reason'], told['distance_px'], told['score'], told['old_label']) == (
        'no_prediction',
        10,
        0.375,
        'mitotic',
    )
    assert (told['annotated_px'], told['predicted_px']) == ([[0, 0]], [[7, 5, 0.625]])
    other = opened.client().get('/api/items/2').json
    assert (other['old_label'], other['annotated_px'], other['predicted_px']) == (None, [[-7, -5]], [[0, 0, 0.625]])


def test_points_beyond_the_field_are_not_shown(tmp_path):
    first, second, third = make_items(3, per_image=3)
    far = replace(second, x_px=118.0, y_px=15.0, predicted_xy_px=(118.0, 15.0))
    near = replace(third, predicted_xy_px=(20.25, 15.0), predicted_score=float('nan'), distance_px=float('inf'))
    review = Review(tmp_path, [first, far, near], blinded=False)
    told = review.client().get('/api/items/1').json
    assert told['predicted_px'] == [[0.25, 0, None]]
    assert review.client().get('/api/items').json['distance_px'] == [None, 11, 10]
    review.close()


@pytest.mark.parametrize('kind', ['field', 'thumb'])
def test_crops_are_jpegs_of_the_item(review, anna, kind):
    answer = anna.get(f'/api/crops/3/{kind}')
    assert (answer.status, answer.headers['content-type']) == (200, 'image/jpeg')
    assert answer.body == getattr(review.crops, kind)(review.store.item(3))


def test_a_browser_keeps_crops_that_it_asks_for_by_the_name_of_the_review(review, anna):
    named = anna.get(f'/api/crops/3/thumb?db={review.store.database_id}')
    assert named.headers['cache-control'] == 'private, max-age=3600'
    for target in ('/api/crops/3/thumb', '/api/crops/3/thumb?db=another'):
        assert anna.get(target).headers['cache-control'] == 'private, no-cache'
    again = anna.get('/api/crops/3/thumb', if_none_match=named.headers['etag'])
    assert (again.status, again.body) == (304, b'')
    assert anna.get('/api/crops/4/thumb', if_none_match=named.headers['etag']).status == 200
    assert anna.get('/api/items').headers['cache-control'] == 'no-store'


def test_an_image_that_has_become_unreadable_is_no_fault_of_the_server(review, anna, capsys):
    (review.image_root / '0.png').write_bytes(b'broken')
    (review.image_root / '1.png').unlink()
    for item in (1, 3):
        for kind in ('field', 'thumb'):
            answer = anna.get(f'/api/crops/{item}/{kind}')
            assert answer.status == 404
            assert answer.json == {'error': f"the image of item {item} cannot be read; the server's output says why"}
        assert anna.get(f'/api/items/{item}').status == 200
    assert str(review.image_root / '0.png') in capsys.readouterr().err


def test_a_decision_is_kept_and_told(review, anna):
    request = str(uuid.uuid4())
    content = {'request': request, 'item': 4, 'label': 'look_alike', 'moved_px': None, 'added_px': [], 'seconds': 1.5}
    first = anna.post('/api/decisions', content)
    assert first.status == 201
    progress = {
        'done': 1,
        'total': 8,
        'mitotic': 0,
        'look_alike': 1,
        'unsure': 0,
        'median_seconds': 1.5,
        'agreement': None,
    }
    assert first.json == {'decision': 1, 'item': 4, 'state': 'look_alike', 'progress': progress}
    assert anna.get('/api/progress').json == progress
    with ReviewStore.open(review.store.path) as beside:
        (kept,) = beside.decisions()
    assert (kept.rater, kept.item_id, kept.label, kept.blinded, kept.role) == ('anna', 4, 'look_alike', True, 'rater')
    again = anna.post('/api/decisions', content)
    assert (again.status, again.json) == (200, first.json)
    other = anna.post('/api/decisions', {**content, 'label': 'mitotic'})
    assert (other.status, list(other.json)) == (409, ['error'])
    assert len(list(review.store.log())) == 1


def test_undo_gives_back_what_was_said_before(review, anna):
    anna.decide(4, 'mitotic', moved_px=[1, 2])
    anna.decide(4, 'unsure')
    request = {'request': 'undo-1'}
    for _ in range(2):
        undone = anna.post('/api/undo', request)
        assert undone.status == 200
        assert (undone.json['item'], undone.json['state']) == (4, 'mitotic')
        assert undone.json['decision'] == {'label': 'mitotic', 'moved_px': [1, 2], 'added_px': []}
        assert undone.json['progress'] == anna.get('/api/progress').json
    assert anna.post('/api/undo', {'request': 'undo-2'}).json['state'] == 'open'
    nothing = anna.post('/api/undo', {'request': 'undo-3'})
    assert nothing.status == 409
    assert 'no decision' in nothing.json['error']
    assert anna.get('/api/items/4').json['decision'] is None


def test_raters_do_not_see_each_other(review, anna):
    ben = review.client('ben')
    before = [ben.get(target).body for target in ('/api/items', '/api/items/2', '/api/progress')]
    anna.decide(2, 'mitotic', added_px=[[1, 1]])
    assert [ben.get(target).body for target in ('/api/items', '/api/items/2', '/api/progress')] == before


def test_another_process_may_write_as_well(review, anna):
    anna.decide(1)
    with ReviewStore.open(review.store.path) as beside:
        beside.decide(request='x', rater='anna', item_id=2, label='unsure', blinded=True)
        beside.undo(request='y', rater='anna')
        beside.decide(request='z', rater='anna', item_id=3, label='look_alike', blinded=True)
    assert anna.get('/api/items').json['state'][:3] == ['mitotic', 'open', 'look_alike']


def test_a_tiebreaker_gets_ties_only(review, anna):
    ben, tom = review.client('ben'), review.client('tom')
    for item, first, second in [(1, 'mitotic', 'mitotic'), (2, 'mitotic', 'look_alike'), (5, 'unsure', 'unsure')]:
        anna.decide(item, first)
        ben.decide(item, second)
    assert tom.get('/api/items').json['id'] == [2, 5]
    assert tom.get('/api/session').json['total'] == 2
    refused = tom.decide(1)
    assert (refused.status, 'ties only' in refused.json['error']) == (403, True)
    assert tom.decide(2).json['progress']['total'] == 2
    ben.decide(2, 'mitotic')
    # What was decided stays in sight, and can be decided again.
    assert tom.get('/api/items').json == {
        'id': [2, 5],
        'cases': ['case_0', 'case_1'],
        'case': [1, 0],
        'scanners': ['', 'S360'],
        'scanner': [1, 0],
        'state': ['mitotic', 'open'],
    }
    assert tom.decide(2, 'unsure').status == 201
    assert {decision.role for decision in review.store.decisions() if decision.rater == 'tom'} == {'tiebreaker'}


def test_open_mode_tells_the_agreement_with_the_annotation(opened):
    anna = opened.client()
    assert anna.get('/api/progress').json['agreement_with_annotation'] is None
    anna.decide(1, 'mitotic')
    anna.decide(2, 'mitotic')
    anna.decide(4, 'unsure')
    assert anna.get('/api/progress').json['agreement_with_annotation'] == {'items': 2, 'share': 0.5}
    assert [decision.blinded for decision in opened.store.decisions()] == [False] * 3


GOOD = {'request': 'r', 'item': 4, 'label': 'mitotic', 'moved_px': [1, 2], 'added_px': [[0, 0.5]], 'seconds': 1}


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        ({'request': ''}, 'request'),
        ({'request': 'a' * 65}, 'request'),
        ({'request': 'a\n'}, 'request'),
        ({'request': 'ä'}, 'request'),
        ({'request': 1}, 'request'),
        ({'item': '4'}, 'item'),
        ({'item': True}, 'item'),
        ({'item': 4.0}, 'item'),
        ({'item': -1}, 'item'),
        ({'item': 2**63}, 'item'),
        ({'item': 10**400}, 'item'),
        ({'label': 'open'}, 'label'),
        ({'label': None}, 'label'),
        ({'moved_px': [1]}, 'moved_px'),
        ({'moved_px': [1, 2, 3]}, 'moved_px'),
        ({'moved_px': ['1', '2']}, 'moved_px'),
        ({'moved_px': [1e999, 0]}, 'moved_px'),
        ({'moved_px': [float('nan'), 0]}, 'moved_px'),
        ({'moved_px': [48.75, 0]}, 'at most 48.5'),
        ({'moved_px': [-41.6, 0]}, 'outside the image'),
        ({'moved_px': [0, -30.6]}, 'outside the image'),
        ({'added_px': [[0, 0]] * 51}, 'added_px'),
        ({'added_px': [[0, -48.6]]}, 'at most 48.5'),
        ({'added_px': None}, 'added_px'),
        ({'seconds': -1}, 'seconds'),
        ({'seconds': 86401}, 'seconds'),
        ({'seconds': float('inf')}, 'seconds'),
        ({'seconds': '1'}, 'seconds'),
        ({'rater': 'ben'}, 'rater'),
    ],
)
def test_a_decision_that_makes_no_sense_is_refused_in_words(review, anna, change, said):
    answer = anna.post('/api/decisions', {**GOOD, **change})
    assert answer.status == 422
    assert said in answer.json['error']
    assert list(review.store.log()) == []


@pytest.mark.parametrize('body', [b'', b'[]', b'null', b'{', b'\xff', b'{"request": "\\ud800"}', b'[' * 16_000])
def test_a_body_that_is_no_message_is_refused(anna, body):
    for path in ('/api/decisions', '/api/undo'):
        answer = anna.post(path, body)
        assert (answer.status, list(answer.json)) == (422, ['error'])


def test_the_limits_themselves_are_accepted(review, anna):
    assert anna.post('/api/decisions', GOOD).status == 201
    x, y = review.store.item(4).anchor_px
    at_the_border = {'moved_px': [-x - 0.5, -y - 0.5], 'added_px': [[48.5, 48.5]] * 50, 'seconds': 86400}
    assert (x, y) == (41, 30)
    answer = anna.post('/api/decisions', {**GOOD, **at_the_border, 'request': 'a' * 64})
    assert answer.status == 201
    assert anna.post('/api/decisions', {'request': 'short', 'item': 4, 'label': 'unsure'}).status == 201


@pytest.mark.parametrize('number', ['0', '9', '-1', '1.0', '01x', '99999999999', '9' * 5000, '%31', '１', ''])
def test_unknown_items_are_not_found(anna, number):
    for target in (f'/api/items/{number}', f'/api/crops/{number}/field', f'/api/crops/{number}/thumb'):
        answer = anna.get(target.replace('１', '\N{FULLWIDTH DIGIT ONE}'))
        assert (answer.status, list(answer.json)) == (404, ['error'])
    assert anna.decide(9).status == 404


@pytest.mark.parametrize('target', ['/docs', '/openapi.json', '/redoc', '/api', '/api/items/', '//', '/static/', '/x'])
def test_there_is_nothing_else(anna, target):
    answer = anna.get(target)
    assert (answer.status, list(answer.json)) == (404, ['error'])


@pytest.mark.parametrize('method', ['HEAD', 'OPTIONS', 'PUT', 'DELETE', 'PATCH', 'TRACE', 'CONNECT', 'BREW', 'POST'])
def test_other_methods_are_refused(anna, method):
    answer = anna.request(method, '/api/items', anna.headers(), b'{}')
    assert answer.status == 405
    assert 'GET' in answer.headers['allow']


def test_a_locked_database_is_told_and_nothing_is_lost(review, anna):
    review.store._connection.execute('PRAGMA busy_timeout = 1')
    with ReviewStore.open(review.store.path) as beside:
        beside._connection.execute('BEGIN IMMEDIATE')
        answer = anna.decide(1)
        beside._connection.execute('ROLLBACK')
    assert answer.status == 503
    assert 'try again' in answer.json['error']
    assert anna.decide(1).status == 201


def test_the_page_is_served_from_a_fixed_table(tmp_path):
    assets = load_assets()
    review = Review(tmp_path, make_items(1), assets=assets)
    client = review.client()
    page = client.get('/')
    assert (page.status, page.headers['content-type']) == (200, 'text/html; charset=utf-8')
    assert page.body == assets['index.html'].content
    named = set(re.findall(rb'(?:src|href)="/static/([^"#]+)"', page.body))
    assert named
    expected = {'js': 'text/javascript; charset=utf-8', 'css': 'text/css; charset=utf-8', 'svg': 'image/svg+xml'}
    for name in named:
        answer = client.get(f'/static/{name.decode()}')
        assert answer.status == 200, name
        assert answer.headers['content-type'] == expected[name.decode().rpartition('.')[2]]
        assert client.get(f'/static/{name.decode()}', if_none_match=answer.headers['etag']).status == 304
    for name in ('../app.py', '../../review/app.py', '/etc/passwd', 'app.py', '.', '..', 'index.html/', ''):
        assert client.get(f'/static/{name}').status == 404
    review.close()


def test_ten_thousand_items_are_listed_quickly(tmp_path):
    items = make_items(10_000, per_image=10_000)
    review = Review(tmp_path, items)
    for number in range(1, 21):
        review.store.decide(request=f'r{number}', rater='anna', item_id=number, label='mitotic', blinded=True)
    client = review.client()
    listed = client.get('/api/items').json
    assert listed['state'].count('mitotic') == 20
    start = time.perf_counter()
    client.get('/api/items')
    # A few milliseconds where nothing else runs.
    assert time.perf_counter() - start < 0.5
    review.close()


def blinded_twin(item):
    """The same place, about which annotators and Teacher say something else."""
    if item.annotated_xy_px is None:
        said = dict(annotation_id=900 + item.item_id, annotated_xy_px=(item.x_px, item.y_px), old_label='mitotic')
        said |= dict(predicted_xy_px=None, predicted_score=None)
    else:
        said = dict(annotation_id=None, annotated_xy_px=None, old_label=None)
        said |= dict(predicted_xy_px=(item.x_px + 0.125, item.y_px - 0.25), predicted_score=0.987)
    rank = (item.rank * 5 + 3) % 8
    further = dict(reason='image_error', verdict='keep', image_score=0.0123, distance_px=0.5, rank=rank)
    return replace(item, **said, **further)


def everything(review):
    """Every answer to a GET, and to the same decisions, without what is drawn at random for each review."""
    client, ben = review.client('anna'), review.client('ben')
    answers = []
    for decide in (lambda: None, lambda: client.decide(2, 'mitotic'), lambda: ben.decide(2, 'look_alike')):
        decide()
        targets = ['/', '/static/index.html', '/api/session', '/api/items', '/api/progress', '/api/none']
        targets += [f'/api/items/{number}' for number in range(10)]
        targets += [f'/api/crops/{number}/{kind}' for number in range(10) for kind in ('field', 'thumb')]
        answers += [(target, rater, rater.get(target)) for target in targets for rater in (client, ben)]
    tom = review.client('tom')
    answers += [(target, tom, tom.get(target)) for target in ('/api/items', '/api/items/2', '/api/progress')]
    undone = client.post('/api/undo', {'request': 'u'})
    answers += [('undo', client, undone), ('decide', client, client.post('/api/decisions', GOOD))]
    database = review.store.database_id.encode()
    return [
        (target, answer.status, answer.raw_headers, answer.body.replace(database, b'0' * len(database)))
        for target, _, answer in answers
    ]


def test_blinded_answers_are_the_same_byte_for_byte_whatever_there_is_to_hide(tmp_path):
    items = make_items(8)
    twins = [blinded_twin(item) for item in items]
    assert all(item.anchor_px == twin.anchor_px for item, twin in zip(items, twins))
    found = []
    for name, those in [('one', items), ('other', twins)]:
        review = Review(tmp_path / name, those)
        found.append(everything(review))
        review.close()
    assert len(found[0]) == len(found[1]) > 200
    for one, other in zip(*found):
        assert one == other
    words = b' '.join(body for _, _, headers, body in found[0] if (b'content-type', b'application/json') in headers)
    for secret in (
        b'no_prediction',
        b'elsewhere',
        b'score',
        b'distance',
        b'old_label',
        b'annot',
        b'predict',
        b'verdict',
    ):
        assert secret not in words


def test_the_twins_differ_where_nothing_is_hidden(tmp_path):
    items = make_items(8)
    bodies = []
    for name, those in [('one', items), ('other', [blinded_twin(item) for item in items])]:
        review = Review(tmp_path / name, those, blinded=False)
        bodies.append([review.client().get(target).body for target in ('/api/items', '/api/items/1', '/api/items/2')])
        review.close()
    assert all(one != other for one, other in zip(*bodies))


def test_texts_that_utf8_cannot_hold_do_not_stop_the_review(tmp_path):
    review = Review(tmp_path, make_items(2, case_id='\ud800', scanner='ä'))
    client = review.client()
    assert client.get('/api/items').json['cases'] == ['?']
    assert json.loads(client.get('/api/items/1').body.decode())['scanner'] == 'ä'
    review.close()
