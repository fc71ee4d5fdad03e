"""Whatever is sent: never a failure of the server, never a file, and never an answer without its headers."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from review_requests import HOST, PAGE, PORT, Review, make_items

from mitouts.review.security import SECURITY_HEADERS, cookie_name

SECRET = b'nobody may read this file'
ROUTES = [
    '/',
    '/static/index.html',
    '/static/{}',
    '/api/session',
    '/api/items',
    '/api/items/{}',
    '/api/crops/{}/field',
    '/api/crops/{}/thumb',
    '/api/crops/{}/{}',
    '/api/decisions',
    '/api/undo',
    '/api/progress',
    '/{}',
    '{}',
]
TRAVERSALS = [
    '../secret.txt',
    '..\\secret.txt',
    '../../secret.txt',
    '%2e%2e%2fsecret.txt',
    '..%252fsecret.txt',
    '....//secret.txt',
    '..;/secret.txt',
    '/etc/passwd',
    'file:///etc/passwd',
    '\0',
    '../images/0.png',
    '0.png',
    'review.sqlite',
    '../app.py',
]
JSON = 'application/json'

pieces = st.one_of(
    st.sampled_from(TRAVERSALS),
    st.text(max_size=20),
    st.integers(-(10**30), 10**30).map(str),
    st.sampled_from(['1', '01', '+1', ' 1', '1e0', '0x1', '9' * 4400, '٣', '', '.', '..', 'None', '1%00']),
)
paths = st.builds(lambda route, one, two: route.format(one, two), st.sampled_from(ROUTES), pieces, pieces)
other_methods = ['POST', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'PATCH', 'TRACE', 'CONNECT', 'get', 'X' * 50]
methods = st.just('GET') | st.sampled_from(other_methods)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=10)
    | st.sampled_from(['mitotic', 'look_alike', 'unsure', 'a-1', 10**4000, 1e308, -0.0]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
requests = st.text('ab-', max_size=3) | st.integers(0, 10**9).map(str)
numbers = st.integers(-12, 12) | st.floats(-60, 60)
offsets = st.tuples(numbers, numbers).map(list)
good_messages = st.fixed_dictionaries(
    {'request': requests, 'item': st.integers(1, 8), 'label': st.sampled_from(['mitotic', 'look_alike', 'unsure'])},
    optional={
        'moved_px': st.none() | offsets,
        'added_px': st.lists(offsets, max_size=4),
        'seconds': st.none() | st.floats(0, 86_400),
    },
)
changes = st.dictionaries(
    st.sampled_from(['request', 'item', 'label', 'moved_px', 'added_px', 'seconds', 'rater', '']),
    values | st.lists(offsets, min_size=49, max_size=52),
    max_size=1,
)
bodies = st.one_of(
    st.binary(max_size=200),
    values.map(lambda value: json.dumps(value).encode()),
    st.sampled_from([b'[' * 16_000, b'{"a":' * 3000, b'9' * 16_000, b'NaN', b'-', b'"\\ud800"', b'{"item":1e999999}']),
    st.integers(16_000, 17_000).map(lambda length: b' ' * length),
)
header_values = st.one_of(
    st.binary(max_size=30),
    st.sampled_from(
        [HOST.encode(), b'evil.example', b'null', b'same-origin', b'cross-site', b'0', b'-1', b'1e9', b'gzip']
    ),
)
header_names = st.sampled_from(
    [
        b'host',
        b'cookie',
        b'origin',
        b'sec-fetch-site',
        b'content-type',
        b'content-length',
        b'transfer-encoding',
        b'if-none-match',
        b'range',
        b'x-forwarded-host',
        b'x-http-method-override',
        b'accept-encoding',
        b'expect',
        b'\xff\xfe',
    ]
)
strange_headers = st.lists(st.tuples(header_names, header_values), max_size=4)


@pytest.fixture(scope='module', params=['blinded', 'open'])
def review(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    made = Review(folder, make_items(8), blinded=request.param == 'blinded')
    for place in (folder, folder / 'images', folder.parent):
        (place / 'secret.txt').write_bytes(SECRET)
    yield made
    made.close()


@pytest.fixture(scope='module')
def clients(review):
    return [review.client(rater) for rater in ('anna', 'tom', None)]


def own_headers(client):
    return [(name.encode('latin-1'), value.encode('latin-1')) for name, value in client.headers().items()]


def check(review, method, path, answer):
    assert 200 <= answer.status < 500, (method, path, answer)
    names = [name for name, _ in answer.raw_headers]
    for name, value in SECURITY_HEADERS.items():
        assert (name.encode(), value.encode()) in answer.raw_headers
        assert names.count(name.encode()) == 1
    assert SECRET not in answer.body
    assert b'root:' not in answer.body
    assert str(review.image_root).encode() not in answer.body
    assert not answer.body.startswith((b'SQLite', b'\x89PNG'))
    kind = answer.headers.get('content-type')
    if answer.status >= 400:
        assert kind == JSON
        assert list(answer.json) == ['error']
    elif kind == 'text/html; charset=utf-8':
        assert answer.body == PAGE.content
    elif answer.status == 200:
        assert kind in (JSON, 'image/jpeg')


FUZZ = settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@FUZZ
@given(methods, paths, st.binary(max_size=40), st.integers(0, 2))
def test_any_address(review, clients, method, path, query, who):
    client = clients[who]
    check(review, method, path, client.raw(method, path, query, own_headers(client), b'{}'))


@FUZZ
@given(st.sampled_from(['/api/decisions', '/api/undo']), bodies, st.integers(0, 1))
def test_any_body(review, clients, path, body, who):
    client = clients[who]
    answer = client.raw('POST', path, b'', own_headers(client), body)
    check(review, 'POST', path, answer)
    assert answer.status in (200, 201, 403, 404, 409, 413, 422)


@FUZZ
@given(good_messages, changes, st.integers(0, 1), st.booleans())
def test_any_message(review, clients, message, change, who, undoes):
    client = clients[who]
    if undoes:
        message, path = {'request': message['request']}, '/api/undo'
    else:
        path = '/api/decisions'
    answer = client.raw('POST', path, b'', own_headers(client), json.dumps({**message, **change}).encode())
    check(review, 'POST', path, answer)
    if answer.status < 300:
        state = client.get(f'/api/items/{answer.json["item"]}')
        check(review, 'GET', 'item', state)
        assert state.json['state'] == answer.json['state']
        check(review, 'GET', 'progress', client.get('/api/progress'))


@FUZZ
@given(methods, paths, strange_headers, st.booleans(), st.lists(st.binary(max_size=9000), min_size=1, max_size=3))
def test_any_header(review, clients, method, path, headers, with_own, parts):
    own = own_headers(clients[0]) if with_own else [(b'host', HOST.encode())]
    check(review, method, path, clients[0].raw(method, path, b'', [*own, *headers], parts))


@FUZZ
@given(st.binary(max_size=60), st.sampled_from([b'token=', b'token', b'a=b&token=', b'token=x&token=', b'']))
def test_any_token(review, clients, value, name):
    headers = [
        (b'host', HOST.encode()),
        (b'cookie', cookie_name(PORT).encode() + b'=' + value),
        (b'cookie', b'a' * 20_000),
    ]
    answer = clients[2].raw('GET', '/', name + value, headers)
    check(review, 'GET', '/', answer)
    assert answer.status == 401


@FUZZ
@given(st.sampled_from(TRAVERSALS), st.sampled_from(['/', '/static/', '/api/items/', '/api/crops/', '/api/crops/1/']))
def test_no_address_leads_to_a_file(review, clients, traversal, before):
    path = before + traversal
    answer = clients[0].raw('GET', path, b'', own_headers(clients[0]))
    check(review, 'GET', path, answer)
    assert answer.status == 404
