import contextlib
import re
import signal
import socket
import subprocess
import sys
import threading
import uuid

import httpx
import pytest
from review_requests import make_items, write_images

from mitouts.errors import ReviewError
from mitouts.review.crops import CropSource
from mitouts.review.serving import bound, own_hosts, serve
from mitouts.review.store import ReviewStore

SERVE = """
import sys
from mitouts.review.crops import CropSource
from mitouts.review.serving import serve
from mitouts.review.store import ReviewStore
with ReviewStore.open(sys.argv[1]) as store:
    crops = CropSource(sys.argv[2], store.items)
    serve(store, crops, {'anna': 'rater', 'ben': 'rater'}, blinded=True, port=int(sys.argv[3]))
print('ended')
"""


@contextlib.contextmanager
def within(seconds, process):
    """End a process that keeps us waiting longer, so that reading from it ends as well."""
    watch = threading.Timer(seconds, process.kill)
    watch.start()
    try:
        yield
    finally:
        watch.cancel()


class Server:
    """The application in a process of its own."""

    def __init__(self, folder, port=0):
        command = [sys.executable, '-c', SERVE, str(folder / 'review.sqlite'), str(folder / 'images'), str(port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        with within(60, self.process):
            self.addresses = dict(self.process.stdout.readline().split(': ', 1) for _ in range(2))
        self.url, self.token = self.addresses['anna'].strip().split('/?token=')
        self.port = int(self.url.rpartition(':')[2])

    @contextlib.contextmanager
    def client(self):
        with httpx.Client(base_url=self.url, headers={'content-type': 'application/json'}, timeout=30) as client:
            entered = client.get('/', params={'token': self.token})
            assert (entered.status_code, entered.headers['location']) == (303, '/')
            yield client

    def raw(self, data, *, wait_s=5):
        """What comes back first for these bytes."""
        with socket.create_connection(('127.0.0.1', self.port), timeout=wait_s) as connection:
            # The server may have answered and closed before it got everything.
            with contextlib.suppress(ConnectionError):
                connection.sendall(data)
            return connection.recv(65_536)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.process.poll() is None:
            self.end(signal.SIGKILL)

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    made, items = tmp_path_factory.mktemp('review'), make_items(6)
    write_images(made / 'images', items)
    ReviewStore.create(made / 'review.sqlite', items, {}).close()
    return made


@pytest.fixture(scope='module')
def server(folder):
    with Server(folder) as running:
        yield running
        assert running.end() == (0, 'ended\n', '')


def decision(item, label='mitotic'):
    return {'request': str(uuid.uuid4()), 'item': item, 'label': label, 'moved_px': None, 'added_px': [], 'seconds': 1}


def test_each_rater_gets_an_address(server):
    pattern = r'http://127\.0\.0\.1:\d+/\?token=[\w-]{32}\n'
    assert list(server.addresses) == ['anna', 'ben']
    assert all(re.fullmatch(pattern, address) for address in server.addresses.values())
    assert len(set(server.addresses.values())) == 2


def test_the_page_and_its_answers_come_over_the_wire(server):
    with server.client() as client:
        page = client.get('/')
        assert (page.status_code, page.headers['content-type']) == (200, 'text/html; charset=utf-8')
        assert 'server' not in page.headers
        assert client.get('/api/session').json()['rater'] == 'anna'
        assert client.get('/api/crops/1/field').content.startswith(b'\xff\xd8')
        assert client.head('/').status_code == 405


def test_a_busy_browser_is_served(server):
    with server.client() as client:
        cookies = dict(client.cookies)
    statuses = []

    def look():
        with httpx.Client(base_url=server.url, cookies=cookies, timeout=30) as client:
            statuses.extend(client.get(f'/api/crops/{number}/thumb').status_code for number in range(1, 7))

    threads = [threading.Thread(target=look) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 144


COOKIE = 'Cookie: mitouts_review_{port}={token}\r\n'
HOST = 'Host: 127.0.0.1:{port}\r\n'


@pytest.mark.parametrize(
    ('request_text', 'status'),
    [
        ('GET / HTTP/1.1\r\n\r\n', 400),
        ('GET / HTTP/1.0\r\n\r\n', 421),
        ('GET / HTTP/9.9\r\n' + HOST + '\r\n', 401),
        ('GET\r\n\r\n', 400),
        ('\0\0\0\0\r\n\r\n', 400),
        ('GET / HTTP/1.1\r\n' + HOST + HOST + '\r\n', 400),
        ('GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n', 421),
        ('GET / HTTP/1.1\r\n' + HOST + 'Cookie: ' + 'a' * 1_000_000, 400),
        ('GET /' + 'a' * 1_000_000, 400),
        ('GET /\xff HTTP/1.1\r\n' + HOST + '\r\n', 400),
        ('GET /%ff%fe/%00 HTTP/1.1\r\n' + HOST + COOKIE + '\r\n', 404),
        ('GET /static/..%2f..%2fapp.py HTTP/1.1\r\n' + HOST + COOKIE + '\r\n', 404),
        ('GET /static/../../app.py HTTP/1.1\r\n' + HOST + COOKIE + '\r\n', 404),
        ('GET http://evil.example/api/session HTTP/1.1\r\n' + HOST + COOKIE + '\r\n', 404),
        ('OPTIONS * HTTP/1.1\r\n' + HOST + COOKIE + '\r\n', 404),
        ('GET / HTTP/1.1\r\n' + HOST + COOKIE + 'Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n', 200),
        ('POST /api/undo HTTP/1.1\r\n' + HOST + COOKIE + 'Content-Length: x\r\n\r\n', 400),
        ('POST /api/undo HTTP/1.1\r\n' + HOST + COOKIE + 'Content-Length: 5\r\nContent-Length: 6\r\n\r\n', 400),
        ('POST /api/undo HTTP/1.1\r\n' + HOST + COOKIE + 'Content-Length: 99999999999999999999\r\n\r\n', 413),
        (
            'POST /api/undo HTTP/1.1\r\n'
            + HOST
            + COOKIE
            + 'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n'
            + ('4000\r\n' + ' ' * 0x4000 + '\r\n') * 2
            + '0\r\n\r\n',
            413,
        ),
        (
            'POST /api/undo HTTP/1.1\r\n'
            + HOST
            + COOKIE
            + 'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
            400,
        ),
    ],
)
def test_what_is_no_proper_request_is_refused(server, request_text, status):
    data = request_text.format(port=server.port, token=server.token).encode('latin-1')
    answer = server.raw(data)
    assert answer.startswith(b'HTTP/1.1 %d' % status), answer[:200]
    assert b'Traceback' not in answer
    with server.client() as client:
        assert client.get('/api/session').status_code == 200


def test_nothing_is_lost_when_the_server_is_killed(folder):
    with Server(folder) as server, server.client() as client:
        done = [client.post('/api/decisions', json=decision(item)).json()['decision'] for item in (1, 2, 3)]
        again = decision(4)
        done.append(client.post('/api/decisions', json=again).json()['decision'])
        server.end(signal.SIGKILL)
        with pytest.raises(httpx.TransportError):
            client.get('/api/session')
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Server(folder, server.port))
        client = stack.enter_context(server.client())
        # The browser never got the answer, and sends it again.
        repeated = client.post('/api/decisions', json=again)
        assert (repeated.status_code, repeated.json()['decision']) == (200, done[-1])
        assert client.get('/api/progress').json()['done'] == 4
        # Neither a connection that is kept alive nor one in the middle of a request hinders the end.
        idle = stack.enter_context(socket.create_connection(('127.0.0.1', server.port)))
        idle.sendall(b'GET / HTTP/1.1\r\n')
        assert server.end(signal.SIGINT) == (0, 'ended\n', '')
    with ReviewStore.open(folder / 'review.sqlite') as store:
        assert [entry.entry_id for entry in store.log()] == done


def test_a_taken_port_is_said_before_anything_else():
    with bound('127.0.0.1', 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ReviewError, match=rf'port {port}: another program does.* --port'), bound('127.0.0.1', port):
            pass


@pytest.mark.parametrize(
    ('host', 'port', 'said'),
    [
        ('192.0.2.1', 0, 'this machine has no such address'),
        ('no.such.host.invalid', 0, 'is no address to listen at'),
        ('', 0, 'is no address to listen at'),
        ('a' * 70, 0, 'is no address to listen at'),
        ('127.0.0.1', 70_000, 'port'),
        ('127.0.0.1', -1, 'port'),
    ],
)
def test_an_address_that_makes_no_sense_is_refused(host, port, said):
    with pytest.raises(ReviewError, match=said), bound(host, port):
        pass


def test_own_hosts_are_the_addresses_a_browser_can_use():
    assert own_hosts('127.0.0.1', '127.0.0.1', 8760) == ['127.0.0.1:8760', '[::1]:8760', 'localhost:8760']
    assert own_hosts('localhost', '::1', 80)[:2] == ['[::1]:80', '127.0.0.1:80']
    assert 'localhost' in own_hosts('localhost', '::1', 80)
    assert own_hosts('lab.example', '192.0.2.7', 1234) == ['lab.example:1234', '192.0.2.7:1234']
    anywhere = own_hosts('0.0.0.0', '0.0.0.0', 8760)
    assert f'{socket.gethostname()}:8760' in anywhere
    assert 'localhost:8760' in anywhere
    assert '0.0.0.0:8760' not in anywhere


@pytest.mark.parametrize(('host', 'warned'), [('0.0.0.0', True), ('127.0.0.1', False)])
def test_what_another_host_means_is_said(folder, monkeypatch, capsys, host, warned):
    monkeypatch.setattr('uvicorn.Server.run', lambda server, sockets: server.handle_exit(signal.SIGINT, None))
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with ReviewStore.open(folder / 'review.sqlite') as store:
        crops = CropSource(folder / 'images', store.items)
        lines = []
        serve(store, crops, {'anna': 'rater'}, blinded=True, host=host, port=0, announce=lines.append)
    assert [line.partition(': http://')[0] for line in lines] == ['anna']
    warning = capsys.readouterr().err
    for said in ('0.0.0.0 can be reached from other machines', 'see the crops', 'nothing is encrypted', 'ssh -L'):
        assert (said in warning) == warned
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
