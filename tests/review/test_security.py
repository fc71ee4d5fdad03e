import pytest
from review_requests import HOST, PORT, Client, Review, make_items

from mitouts.review.security import MAX_BODY_BYTES, SECURITY_HEADERS, Gate, Session, Sessions, cookie_name

GOOD = {'request': 'r', 'item': 1, 'label': 'mitotic'}


@pytest.fixture
def review(tmp_path):
    made = Review(tmp_path, make_items(3))
    yield made
    made.close()


@pytest.fixture
def anna(review):
    return review.client('anna')


def assert_refused(answer, status):
    assert answer.status == status
    assert list(answer.json) == ['error']
    assert_secure(answer)


def assert_secure(answer):
    for name, value in SECURITY_HEADERS.items():
        assert [given for given, _ in answer.raw_headers].count(name.encode()) == 1
        assert answer.headers[name] == value
    assert 'cache-control' in answer.headers


def test_every_address_needs_the_cookie(review):
    nobody = review.client(None)
    paths = ['/', '/static/index.html', '/api/session', '/api/items', '/api/items/1', '/api/crops/1/field', '/x', '//']
    for path in paths:
        assert_refused(nobody.get(path), 401)
    for path in ('/api/decisions', '/api/undo'):
        assert_refused(nobody.post(path, GOOD), 401)
    for method in ('HEAD', 'OPTIONS', 'DELETE', 'BREW'):
        assert_refused(nobody.request(method, '/api/items', nobody.headers()), 401)
    assert list(review.store.log()) == []


def test_the_printed_address_gives_the_cookie(review):
    nobody, token = review.client(None), review.sessions.tokens['ben']
    answer = nobody.get(f'/?token={token}', cookie=None)
    assert (answer.status, answer.headers['location'], answer.body) == (303, '/', b'')
    assert answer.headers['set-cookie'] == f'mitouts_review_8760={token}; HttpOnly; SameSite=Strict; Path=/'
    assert_secure(answer)
    assert nobody.get('/api/session', cookie=answer.headers['set-cookie'].partition(';')[0]).json['rater'] == 'ben'


def test_a_click_in_another_page_gets_in_by_a_step_of_its_own(review):
    nobody, token = review.client(None), review.sessions.tokens['ben']
    answer = nobody.get(f'/?token={token}', sec_fetch_site='cross-site')
    assert answer.status == 200
    assert b'http-equiv="refresh" content="0;url=/"' in answer.body
    assert token in answer.headers['set-cookie']
    assert token.encode() not in answer.body


@pytest.mark.parametrize('token', ['', 'x', 'ä', '%00', '%ff', 'a' * 10_000, 'None'])
def test_a_wrong_token_gives_nothing(review, token):
    answer = review.client('anna').get(f'/?token={token}')
    assert_refused(answer, 401)
    assert 'set-cookie' not in answer.headers


@pytest.mark.parametrize(
    'cookie',
    [
        '',
        'mitouts_review_8760',
        'mitouts_review_8760=',
        'mitouts_review_8761={token}',
        'Mitouts_Review_8760={token}',
        'mitouts_review_8760={token}x',
        'mitouts_review_8760="{token}"',
        'x=mitouts_review_8760={token}',
        'mitouts_review_8760={half}',
        'mitouts_review_8760=\xff\xfe',
    ],
)
def test_a_wrong_cookie_gives_nothing(review, cookie):
    token = review.sessions.tokens['anna']
    wrong = cookie.format(token=token, half=token[: len(token) // 2])
    assert_refused(review.client(None).get('/api/session', cookie=wrong), 401)


def test_other_cookies_do_not_hinder(review):
    client, token = review.client(None), review.sessions.tokens['anna']
    cookie = f'a=b; mitouts_review_8760=old;mitouts_review_8760={token} ; c; mitouts_review_99=x'
    assert client.get('/api/session', cookie=cookie).json['rater'] == 'anna'


def test_tokens_are_long_new_and_of_one_rater_each():
    one, other = Sessions({'anna': 'rater', 'tom': 'tiebreaker'}), Sessions({'anna': 'rater'})
    assert len({*one.tokens.values(), *other.tokens.values()}) == 3
    assert all(len(token) >= 32 for token in one.tokens.values())
    assert one.find(one.tokens['tom']) == Session('tom', 'tiebreaker')
    assert one.find(other.tokens['anna']) is None
    assert one.find('\ud800') is None
    assert cookie_name(1) != cookie_name(2)


@pytest.mark.parametrize(
    'host',
    [
        'evil.example',
        '127.0.0.1',
        '127.0.0.1:8761',
        '127.0.0.1:8760.evil.example',
        f'evil@{HOST}',
        '',
        f'{HOST} ',
        None,
    ],
)
def test_another_host_is_misdirected(anna, host):
    assert_refused(anna.get('/api/session', host=host), 421)
    assert_refused(anna.get(f'/?token={anna.token}', host=host), 421)


def test_own_hosts_are_answered(review, anna):
    for host in (HOST, f'localhost:{PORT}', f'LOCALHOST:{PORT}'):
        assert anna.get('/api/session', host=host).status == 200
    twice = [(b'host', HOST.encode()), (b'host', HOST.encode()), (b'cookie', anna.headers()['cookie'].encode())]
    assert_refused(anna.raw('GET', '/api/session', b'', twice), 421)


@pytest.mark.parametrize('path', ['/api/decisions', '/api/undo'])
@pytest.mark.parametrize(
    ('headers', 'status'),
    [
        ({'origin': 'http://evil.example'}, 403),
        ({'origin': f'https://{HOST}'}, 403),
        ({'origin': 'http://127.0.0.1'}, 403),
        ({'origin': 'null'}, 403),
        ({'origin': ''}, 403),
        ({'sec_fetch_site': 'cross-site'}, 403),
        ({'sec_fetch_site': 'same-site'}, 403),
        ({'sec_fetch_site': 'none'}, 403),
        ({'content_type': None}, 415),
        ({'content_type': 'text/plain'}, 415),
        ({'content_type': 'application/x-www-form-urlencoded'}, 415),
        ({'content_type': 'text/plain; application/json'}, 415),
        ({'content_length': str(MAX_BODY_BYTES + 1)}, 413),
        ({'content_length': '9' * 5000}, 413),
        ({'content_length': '-1'}, 400),
        ({'content_length': '\xb2'}, 400),
    ],
)
def test_a_post_that_another_page_could_send_is_refused(review, anna, path, headers, status):
    assert_refused(anna.post(path, GOOD, **headers), status)
    assert list(review.store.log()) == []


def test_a_post_needs_no_origin(review, anna):
    assert anna.post('/api/decisions', GOOD, origin=None, sec_fetch_site=None).status == 201
    answer = anna.post('/api/decisions', GOOD, content_type='Application/JSON; charset=utf-8')
    assert answer.status == 200
    assert_secure(answer)


@pytest.mark.parametrize('parts', [1, 2, 64])
def test_a_body_is_bounded_even_when_its_length_is_not_told(review, anna, parts):
    filler = b' ' * (MAX_BODY_BYTES // parts)
    body = b'{"request": "r", "item": 1, "label": "mitotic"}'
    assert_refused(anna.request('POST', '/api/decisions', anna.headers(), [body, *[filler] * parts]), 413)
    fits = body + b' ' * (MAX_BODY_BYTES - len(body))
    pieces = [fits[start : start + 1000] for start in range(0, len(fits), 1000)]
    assert anna.request('POST', '/api/decisions', anna.headers(), pieces).status == 201


def test_a_request_that_breaks_off_decides_nothing(review, anna):
    sent = []

    async def broken_off():
        messages = iter(
            [{'type': 'http.request', 'body': b'{"request": "r", "item": 1, "label": "mitotic"}', 'more_body': True}]
        )

        async def receive():
            return next(messages, {'type': 'http.disconnect'})

        async def send(message):
            sent.append(message)

        headers = [(name.encode(), value.encode()) for name, value in anna.headers().items()]
        scope = {'type': 'http', 'method': 'POST', 'path': '/api/decisions', 'query_string': b'', 'headers': headers}
        await review.app(scope, receive, send)

    anna.run(broken_off())
    assert sent == []
    assert list(review.store.log()) == []


def test_web_sockets_are_closed(anna):
    async def never(scope, receive, send):
        raise AssertionError('nothing gets here')

    sent = []

    async def send(message):
        sent.append(message)

    gate = Gate(never, Sessions({'anna': 'rater'}), hosts=[HOST], port=PORT)
    anna.run(gate({'type': 'websocket', 'path': '/', 'headers': []}, None, send))
    assert [message['type'] for message in sent] == ['websocket.close']


def test_a_mistake_in_the_application_is_no_hole():
    async def broken(scope, receive, send):
        await send({'type': 'http.response.start', 'status': 500, 'headers': []})
        await send({'type': 'http.response.body', 'body': b''})

    sessions = Sessions({'anna': 'rater'})
    client = Client(Gate(broken, sessions, hosts=[HOST], port=PORT), sessions.tokens['anna'])
    assert_secure(client.get('/'))
    client.close()


def test_pages_are_confined(anna):
    policy = anna.get('/').headers['content-security-policy']
    rules = dict(rule.split(' ', 1) for rule in policy.split('; '))
    assert rules == {
        'default-src': "'none'",
        'script-src': "'self'",
        'style-src': "'self'",
        'img-src': "'self'",
        'connect-src': "'self'",
        'base-uri': "'none'",
        'form-action': "'none'",
        'frame-ancestors': "'none'",
    }
    assert anna.get('/').headers['x-content-type-options'] == 'nosniff'
    assert anna.get('/').headers['referrer-policy'] == 'no-referrer'
