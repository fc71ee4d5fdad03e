"""Checks every request before it reaches a route, and adds security headers to every answer."""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mitouts.review.labels import Role

MAX_BODY_BYTES: Final = 16 * 1024
SESSION_KEY: Final = 'mitouts.review.session'
"""Key of the :class:`Session` in a request's scope."""
SECURITY_HEADERS: Final[Mapping[str, str]] = {
    'content-security-policy': (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
}
_TOKEN_BYTES = 24
_SAFE_METHODS = frozenset({'GET', 'HEAD', 'OPTIONS', 'TRACE'})
_WITHOUT_COOKIE = (
    'expected the cookie of a rater, found none that is valid: open the whole address that the server printed for you, '
    'with its ?token=; a restarted server prints new ones'
)
# A browser keeps a strict cookie back while it follows a redirection that began on another site, such as a mail's.
_STEP_INSIDE = (
    b'<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=/"><title>Review</title>'
)


@dataclass(frozen=True)
class Session:
    """The rater whom a token belongs to.

    Attributes:
        role: ``rater`` or ``tiebreaker``.
    """

    rater: str
    role: Role = 'rater'


class Sessions:
    """Creates a random token for each rater.

    Args:
        raters: Name -> role.
    """

    def __init__(self, raters: Mapping[str, Role]) -> None:
        self._sessions = {secrets.token_urlsafe(_TOKEN_BYTES): Session(rater, role) for rater, role in raters.items()}

    @property
    def tokens(self) -> dict[str, str]:
        """Return the token of each rater."""
        return {session.rater: token for token, session in self._sessions.items()}

    def find(self, token: str) -> Session | None:
        """Return the session of a token, or None; the time this takes reveals nothing about the tokens."""
        given, found = token.encode('utf-8', 'surrogatepass'), None
        for known, session in self._sessions.items():
            if hmac.compare_digest(known.encode(), given):
                found = session
        return found


def cookie_name(port: int) -> str:
    """Return the name of this server's cookie; servers on other ports of the host share cookies, so names differ."""
    return f'mitouts_review_{port}'


class Gate:
    """ASGI middleware that refuses requests without a token, or from another site's page.

    Args:
        app: The application to protect; it finds the rater in ``scope[SESSION_KEY]``.
        sessions: Sessions of the raters who are let in.
        hosts: Values of the ``Host`` header that are the server's own, such as ``localhost:8760``.
    """

    def __init__(self, app: ASGIApp, sessions: Sessions, *, hosts: Collection[str], port: int) -> None:
        self._app = app
        self._sessions = sessions
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(f'http://{host}' for host in self._hosts)
        self._where = ' or '.join(f'http://{host}' for host in hosts)
        self._cookie = cookie_name(port)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope['type'] == 'lifespan':
            await self._app(scope, receive, send)
            return
        if scope['type'] != 'http':
            await send({'type': 'websocket.close', 'code': 1008})
            return
        send = _with_security_headers(send)
        headers = Headers(scope=scope)
        hosts = headers.getlist('host')
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            await _refuse(send, 421, f'expected a Host header of this server, found another: open {self._where}')
            return
        if (scope['path'], scope['method']) == ('/', 'GET'):
            given = parse_qs(scope['query_string'].decode('latin-1'), keep_blank_values=True)
            if 'token' in given:
                await self._let_in(send, given['token'][0], headers)
                return
        session = self._session(headers)
        if session is None:
            await _refuse(send, 401, _WITHOUT_COOKIE)
            return
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _refuse(send, *refusal)
            return
        if scope['method'] not in _SAFE_METHODS:
            try:
                body = await _read_body(receive)
            except ClientDisconnect:
                return
            if body is None:
                await _refuse(send, 413, _too_large())
                return
            receive = _replay(body)
        await self._app({**scope, SESSION_KEY: session}, receive, send)

    async def _let_in(self, send: Send, token: str, headers: Headers) -> None:
        if self._sessions.find(token) is None:
            await _refuse(send, 401, _WITHOUT_COOKIE)
            return
        cookie = f'{self._cookie}={token}; HttpOnly; SameSite=Strict; Path=/'
        if headers.get('sec-fetch-site') == 'cross-site':
            await _answer(send, 200, _STEP_INSIDE, {'content-type': 'text/html; charset=utf-8', 'set-cookie': cookie})
        else:
            await _answer(send, 303, b'', {'location': '/', 'set-cookie': cookie})

    def _session(self, headers: Headers) -> Session | None:
        found = None
        for header in headers.getlist('cookie'):
            for pair in header.split(';'):
                name, _, value = pair.strip().partition('=')
                if name == self._cookie:
                    found = self._sessions.find(value) or found
        return found

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        """Return status and text of a refusal; None if the request may pass."""
        length = headers.get('content-length')
        if length is not None and not (length.isascii() and length.isdigit()):
            return 400, 'expected a Content-Length in digits'
        # A number of that many digits is too large whatever it says.
        if length is not None and (len(length) > 9 or int(length) > MAX_BODY_BYTES):
            return 413, _too_large()
        if scope['method'] in _SAFE_METHODS:
            return None
        if any(origin.lower() not in self._origins for origin in headers.getlist('origin')) or any(
            site != 'same-origin' for site in headers.getlist('sec-fetch-site')
        ):
            return 403, 'expected a request of this page, found one that another page sent: use the page of this server'
        if headers.get('content-type', '').partition(';')[0].strip().lower() != 'application/json':
            return 415, 'expected the Content-Type application/json'
        return None


def _too_large() -> str:
    return f'expected a body of at most {MAX_BODY_BYTES} bytes, found a larger one'


def _with_security_headers(send: Send) -> Send:
    added = [(name.encode('latin-1'), value.encode('latin-1')) for name, value in SECURITY_HEADERS.items()]

    async def send_with_headers(message: Message) -> None:
        if message['type'] == 'http.response.start':
            given = list(message.get('headers', ()))
            if not any(name.lower() == b'cache-control' for name, _ in given):
                given.append((b'cache-control', b'no-store'))
            message = {**message, 'headers': [*given, *added]}
        await send(message)

    return send_with_headers


async def _refuse(send: Send, status: int, text: str) -> None:
    await _answer(send, status, json.dumps({'error': text}).encode(), {'content-type': 'application/json'})


async def _answer(send: Send, status: int, body: bytes, headers: Mapping[str, str]) -> None:
    encoded = [(name.encode('latin-1'), value.encode('latin-1')) for name, value in headers.items()]
    encoded.append((b'content-length', str(len(body)).encode()))
    await send({'type': 'http.response.start', 'status': status, 'headers': encoded})
    await send({'type': 'http.response.body', 'body': body})


async def _read_body(receive: Receive) -> bytes | None:
    """Read the whole body; None if it is larger than allowed, and then the rest is not read."""
    body = b''
    while True:
        message = await receive()
        if message['type'] != 'http.request':
            raise ClientDisconnect
        body += message.get('body', b'')
        if len(body) > MAX_BODY_BYTES:
            return None
        if not message.get('more_body', False):
            return body


def _replay(body: bytes) -> Receive:
    messages = iter([{'type': 'http.request', 'body': body, 'more_body': False}])

    async def receive() -> Message:
        return next(messages, {'type': 'http.disconnect'})

    return receive
