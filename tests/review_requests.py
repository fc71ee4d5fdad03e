"""A small review, and requests to its application without a network."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from starlette.types import ASGIApp, Message

from mitouts.imaging.image import write_rgb
from mitouts.review.app import create_app
from mitouts.review.assets import Asset
from mitouts.review.crops import CropSource
from mitouts.review.items import Item
from mitouts.review.labels import Role
from mitouts.review.security import Sessions, cookie_name
from mitouts.review.store import ReviewStore

Returned = TypeVar('Returned')
PORT = 8760
HOST = f'127.0.0.1:{PORT}'
SIZE_PX = (120, 100)
PAGE = Asset(b'<!doctype html><title>page</title>', 'text/html; charset=utf-8', '"page"')

RawHeaders = list[tuple[bytes, bytes]]


def coordinates_image(width: int, height: int) -> NDArray[np.uint8]:
    """RGB ``(height, width, 3)``: smooth, and different everywhere, so that a shift by a pixel shows."""
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([40 + columns, 40 + rows, 200 - columns // 2 - rows // 2], axis=-1)
    return np.clip(image, 0, 255).astype(np.uint8)


def make_items(number: int, *, per_image: int = 2, **further: Any) -> list[Item]:
    """Items on images ``0.png``, ``1.png``, ..., of which every third was annotated."""
    items = []
    for index in range(number):
        annotated = index % 3 == 0
        xy = (20.0 + 7 * (index % 12), 15.0 + 5 * (index % 15))
        item = Item(
            item_id=index + 1,
            kind='point',
            image_id=index // per_image,
            file_name=f'{index // per_image}.png',
            case_id=f'case_{index % 4}',
            scanner=('', 'S360')[index % 2],
            mpp=1.0,
            width_px=SIZE_PX[0],
            height_px=SIZE_PX[1],
            x_px=xy[0],
            y_px=xy[1],
            annotation_id=index if annotated else None,
            annotated_xy_px=xy if annotated else None,
            predicted_xy_px=None if annotated else xy,
            predicted_score=None if annotated else 0.625,
            old_label='mitotic' if annotated else None,
            reason='no_prediction' if annotated else 'elsewhere',
            image_score=0.375,
            distance_px=10.0 + index,
            rank=number - 1 - index,
        )
        items.append(replace(item, **further))
    return items


def write_images(folder: Path, items: Sequence[Item]) -> Path:
    """Write what the items show, and return the folder."""
    for name, width, height in {(item.file_name, item.width_px, item.height_px) for item in items}:
        write_rgb(folder / name, coordinates_image(width, height))
    return folder


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    raw_headers: RawHeaders
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode('latin-1').lower(): value.decode('latin-1') for name, value in self.raw_headers}

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Calls an ASGI application in the name of one rater."""

    def __init__(self, app: ASGIApp, token: str | None = None) -> None:
        self.app = app
        self.token = token
        # A loop in a thread of its own: where a browser is driven from this one, another loop is running in it.
        self._loop = asyncio.new_event_loop()
        self._thread = ThreadPoolExecutor(1)

    def close(self) -> None:
        self._thread.shutdown()
        self._loop.close()

    def headers(self, **replaced: str | None) -> dict[str, str]:
        """What a browser sends; ``None`` leaves one out."""
        usual: dict[str, str | None] = {
            'host': HOST,
            'cookie': None if self.token is None else f'{cookie_name(PORT)}={self.token}',
            'content-type': 'application/json',
            'origin': f'http://{HOST}',
            'sec-fetch-site': 'same-origin',
        }
        wanted = {**usual, **{name.replace('_', '-'): value for name, value in replaced.items()}}
        return {name: value for name, value in wanted.items() if value is not None}

    def get(self, target: str, **headers: str | None) -> Answer:
        return self.request('GET', target, self.headers(**headers))

    def post(self, target: str, content: Any, **headers: str | None) -> Answer:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return self.request('POST', target, self.headers(**headers), body)

    def decide(self, item: int, label: str = 'mitotic', **further: Any) -> Answer:
        content = {'request': str(uuid.uuid4()), 'item': item, 'label': label, **further}
        return self.post('/api/decisions', content)

    def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | RawHeaders,
        body: bytes | Sequence[bytes] = b'',
    ) -> Answer:
        path, _, query = target.partition('?')
        raw = (
            [(name.lower().encode('latin-1'), value.encode('latin-1')) for name, value in headers.items()]
            if isinstance(headers, Mapping)
            else headers
        )
        return self.raw(method, path, query.encode('latin-1', 'replace'), raw, body)

    def raw(
        self, method: str, path: str, query: bytes, headers: RawHeaders, body: bytes | Sequence[bytes] = b''
    ) -> Answer:
        """A request as the server hands it on; the body may come in several parts, without a Content-Length."""
        parts = [body] if isinstance(body, bytes) else list(body)
        scope = {
            'type': 'http',
            'asgi': {'version': '3.0'},
            'http_version': '1.1',
            'method': method,
            'scheme': 'http',
            'path': path,
            'raw_path': path.encode('utf-8', 'surrogatepass'),
            'query_string': query,
            'root_path': '',
            'headers': headers,
            'client': ('127.0.0.1', 50000),
            'server': ('127.0.0.1', PORT),
        }
        return self.run(_call(self.app, scope, parts))

    def run(self, work: Coroutine[Any, Any, Returned]) -> Returned:
        """Wait for what is to be done."""
        return self._thread.submit(self._loop.run_until_complete, work).result()


async def _call(app: ASGIApp, scope: dict[str, Any], parts: list[bytes]) -> Answer:
    waiting = [
        {'type': 'http.request', 'body': part, 'more_body': index < len(parts) - 1} for index, part in enumerate(parts)
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        return waiting.pop(0) if waiting else {'type': 'http.disconnect'}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start, *bodies = sent
    return Answer(start['status'], list(start['headers']), b''.join(each.get('body', b'') for each in bodies))


class Review:
    """A database, its images and its application."""

    def __init__(
        self,
        folder: Path,
        items: Sequence[Item],
        raters: Mapping[str, Role] | None = None,
        *,
        blinded: bool = True,
        assets: Mapping[str, Asset] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.image_root = write_images(folder / 'images', items)
        self.store = ReviewStore.create(folder / 'review.sqlite', items, {'teacher_sha256': 'abc'})
        self.crops = CropSource(self.image_root, items)
        self.sessions = Sessions(raters or {'anna': 'rater', 'ben': 'rater', 'tom': 'tiebreaker'})
        self.app = create_app(
            self.store,
            self.crops,
            self.sessions,
            blinded=blinded,
            hosts=[HOST, f'localhost:{PORT}'],
            port=PORT,
            assets=assets or {'index.html': PAGE},
        )
        self._clients: list[Client] = []

    def client(self, rater: str | None = 'anna') -> Client:
        """One with the cookie of a rater, or of nobody."""
        client = Client(self.app, None if rater is None else self.sessions.tokens[rater])
        self._clients.append(client)
        return client

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self.store.close()
