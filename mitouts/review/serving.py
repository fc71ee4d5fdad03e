"""Runs the web application of a review until it is stopped."""

from __future__ import annotations

import errno
import ipaddress
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from mitouts.errors import ReviewError
from mitouts.review.app import create_app
from mitouts.review.crops import CropSource
from mitouts.review.labels import Role
from mitouts.review.security import Sessions
from mitouts.review.store import ReviewStore

DEFAULT_HOST = '127.0.0.1'
DEFAULT_PORT = 8760
_HEADER_BYTES = 32 * 1024
# A browser has six connections a tab; beyond this, somebody else is knocking.
_MAX_CONNECTIONS = 256
_KEEP_ALIVE_S = 60
_GOODBYE_S = 3
_BACKLOG = 128
_OPEN_TO_OTHERS = (
    'warning: {host} can be reached from other machines. Anyone on the network who gets one of these addresses can see '
    'the crops and decide in that name, and nothing is encrypted. Rather leave --host out, and use a tunnel with the '
    'same port at both ends: ssh -L {port}:127.0.0.1:{port} THIS_MACHINE'
)


def serve(
    store: ReviewStore,
    crops: CropSource,
    raters: Mapping[str, Role],
    *,
    blinded: bool,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    announce: Callable[[str], None] = lambda line: print(line, flush=True),
) -> None:
    """Serve a review until SIGINT (Ctrl-C) or SIGTERM, then return.

    Args:
        store: The review; it stays open.
        raters: Name -> role; each gets an address with a token of its own.
        blinded: Whether label, prediction, reason, score and distance are hidden.
        host: Address to listen at.
        port: To listen at; 0 takes a free one.
        announce: Called with each line for the user; by default it goes to standard output.

    Raises:
        ReviewError: It cannot listen there, or the package was installed without the page.
    """
    sessions = Sessions(raters)
    with bound(host, port) as listener:
        address, port = listener.getsockname()[:2]
        hosts = own_hosts(host, address, port)
        app = create_app(store, crops, sessions, blinded=blinded, hosts=hosts, port=port)
        server = uvicorn.Server(_config(app))
        with _ended_by_signals(server):
            # Connections wait from now on, so whoever reads the address can use it.
            listener.listen(_BACKLOG)
            for rater, token in sessions.tokens.items():
                announce(f'{rater}: http://{hosts[0]}/?token={token}')
            if not ipaddress.ip_address(address).is_loopback:
                print(_OPEN_TO_OTHERS.format(host=host, port=port), file=sys.stderr, flush=True)
            server.run(sockets=[listener])


def own_hosts(host: str, address: str, port: int) -> list[str]:
    """List the values of the ``Host`` header under which the server is reached, the one to print first.

    Any other name that resolves to this address is not ours: its owner may have pointed it here to read the answers
    (DNS rebinding).

    Args:
        host: Host as the user gave it.
        address: IP address of the host.
    """
    kind = ipaddress.ip_address(address)
    if kind.is_loopback:
        names = [address, '127.0.0.1', '::1', 'localhost']
    elif kind.is_unspecified:
        names = [*_addresses_of_this_machine(), socket.gethostname(), '127.0.0.1', '::1', 'localhost']
    else:
        names = [host, address]
    with_port = [f'[{name}]:{port}' if ':' in name else f'{name}:{port}' for name in names]
    # A browser leaves the port out where it is the usual one.
    bare = [name.rpartition(':')[0] for name in with_port] if port == 80 else []
    return list(dict.fromkeys([*with_port, *bare]))


@contextmanager
def bound(host: str, port: int) -> Iterator[socket.socket]:
    """Bind a TCP socket to an address.

    Raises:
        ReviewError: The port is taken, the address is not this machine's, or it is not permitted.
    """
    if not 0 <= port <= 65_535:
        raise ReviewError(f'--port {port} is no port: expected 0 (a free one) to 65535')
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise ReviewError(f'--host {host} --port {port} is no address to listen at: {error}') from error
    with socket.socket(family, kind, protocol) as listener:
        # A port whose last connections are still fading away can be had again at once.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
        except OSError as error:
            raise ReviewError(f'cannot listen at {host}, port {port}: {_what_to_do(error, port)}') from error
        yield listener


def _what_to_do(error: OSError, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return 'another program does, perhaps another review; end it, or take another port with --port (0: a free one)'
    if error.errno == errno.EACCES:
        return f'the system does not permit port {port}; take one above 1023 with --port'
    if error.errno == errno.EADDRNOTAVAIL:
        return 'this machine has no such address; leave --host out, or give one of its own'
    return f'{error.strerror}; take another --port or --host'


def _addresses_of_this_machine() -> list[str]:
    found: list[str] = []
    # Connecting a datagram socket sends nothing; it chooses the address that others see. The targets are reserved for
    # documentation.
    for family, target in ((socket.AF_INET, '192.0.2.1'), (socket.AF_INET6, '2001:db8::1')):
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((target, 9))
            found.append(probe.getsockname()[0])
    with suppress(OSError):
        found += [str(entry[4][0]) for entry in socket.getaddrinfo(socket.gethostname(), None)]
    return list(dict.fromkeys(found))


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http='h11',
        ws='none',
        loop='asyncio',
        lifespan='off',
        # Its lines would hold the tokens.
        access_log=False,
        log_level='error',
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=_HEADER_BYTES,
        limit_concurrency=_MAX_CONNECTIONS,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GOODBYE_S,
    )


@contextmanager
def _ended_by_signals(server: uvicorn.Server) -> Iterator[None]:
    """Let signals end only the server; uvicorn's own handlers would raise them again after it has ended."""

    def end(number: int, frame: FrameType | None) -> None:
        server.should_exit = True

    former = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, previous in former.items():
            signal.signal(number, previous)
