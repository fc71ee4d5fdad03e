"""Builds the web application of a review."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from mitouts.errors import ImageError, ReviewError
from mitouts.review.assets import INDEX, Asset, etag_of, load_assets
from mitouts.review.crops import CropSource
from mitouts.review.items import Item
from mitouts.review.labels import NothingToUndoError, RequestConflictError, StoreUnavailableError, UnknownItemError
from mitouts.review.messages import DecisionMessage, MalformedError, UndoMessage, check_inside, parse
from mitouts.review.presentation import Presentation, decision_of, state_of, to_json
from mitouts.review.security import SESSION_KEY, Gate, Session, Sessions
from mitouts.review.store import ReviewStore

_JSON = 'application/json'
_KEPT_BY_BROWSER = 'private, max-age=3600'
_ASKED_AGAIN = 'private, no-cache'
_STATUS_OF: Mapping[type[Exception], int] = {
    UnknownItemError: 404,
    RequestConflictError: 409,
    NothingToUndoError: 409,
    StoreUnavailableError: 503,
    MalformedError: 422,
    ReviewError: 422,
}
_HTTP_ERRORS = {
    404: 'there is nothing at this address; the page of the review is at /',
    405: 'this address does not take this method',
}


def create_app(
    store: ReviewStore,
    crops: CropSource,
    sessions: Sessions,
    *,
    blinded: bool,
    hosts: Collection[str],
    port: int,
    assets: Mapping[str, Asset] | None = None,
) -> ASGIApp:
    """Build the application.

    Args:
        sessions: Sessions of the raters who may take part.
        blinded: Whether label, prediction, reason, score and distance are hidden.
        hosts: Values of the ``Host`` header that are the server's own, such as ``127.0.0.1:8760``.
        port: Port of the server, which is part of the cookie's name.
        assets: Files of the page; the package's own by default.

    Returns:
        An ASGI application behind its gate.

    Raises:
        ReviewError: The package was installed without the page.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.add_exception_handler(HTTPException, _http_error)
    for error in _STATUS_OF:
        app.add_exception_handler(error, _expected_error)
    presentation = Presentation(store, crops, blinded=blinded)
    _add_page(app, load_assets() if assets is None else assets)
    _add_reading(app, store, presentation)
    _add_crops(app, store, crops)
    _add_writing(app, store, crops, presentation)
    return Gate(app, sessions, hosts=hosts, port=port)


def _session(request: Request) -> Session:
    return request.scope[SESSION_KEY]


async def _body(request: Request) -> bytes:
    return await request.body()


def _add_page(app: FastAPI, assets: Mapping[str, Asset]) -> None:
    @app.get('/')
    def index(request: Request) -> Response:
        return _asset(request, assets[INDEX])

    @app.get('/static/{name:path}')
    def static(request: Request, name: str) -> Response:
        if name not in assets:
            raise HTTPException(404)
        return _asset(request, assets[name])


def _add_reading(app: FastAPI, store: ReviewStore, presentation: Presentation) -> None:
    @app.get('/api/session')
    def session(request: Request) -> Response:
        return _answer(presentation.session(_session(request)))

    @app.get('/api/items')
    def items(request: Request) -> Response:
        return Response(presentation.columns(_session(request)), media_type=_JSON)

    @app.get('/api/items/{number}')
    def item(request: Request, number: str) -> Response:
        return _answer(presentation.item(_session(request), _item(store, number)))

    @app.get('/api/progress')
    def progress(request: Request) -> Response:
        return _answer(presentation.progress(_session(request)))


def _add_crops(app: FastAPI, store: ReviewStore, crops: CropSource) -> None:
    @app.get('/api/crops/{number}/field')
    def field(request: Request, number: str) -> Response:
        return _crop(request, store, crops.field, _item(store, number))

    @app.get('/api/crops/{number}/thumb')
    def thumb(request: Request, number: str) -> Response:
        return _crop(request, store, crops.thumb, _item(store, number))


def _add_writing(app: FastAPI, store: ReviewStore, crops: CropSource, presentation: Presentation) -> None:
    @app.post('/api/decisions')
    def decide(request: Request, body: bytes = Depends(_body)) -> Response:
        session, message = _session(request), parse(DecisionMessage, body)
        item = store.item(message.item)
        if not presentation.may_decide(session, message.item):
            return _error(403, f'raters do not disagree on item {message.item}, and a tiebreaker decides ties only')
        points = [*message.added_px, *([] if message.moved_px is None else [message.moved_px])]
        check_inside(item, points, crops.field_px(item))
        decision = store.decide(
            request=message.request,
            rater=session.rater,
            item_id=message.item,
            label=message.label,
            moved_px=message.moved_px,
            added_px=message.added_px,
            seconds=message.seconds,
            blinded=presentation.blinded,
            role=session.role,
        )
        answer = {
            'decision': decision.decision_id,
            'item': message.item,
            'state': presentation.state(session, message.item),
            'progress': presentation.progress(session),
        }
        return _answer(answer, 200 if decision.repeated else 201)

    @app.post('/api/undo')
    def undo(request: Request, body: bytes = Depends(_body)) -> Response:
        session, message = _session(request), parse(UndoMessage, body)
        undone = store.undo(request=message.request, rater=session.rater, blinded=presentation.blinded)
        answer = {
            'item': undone.item_id,
            'state': state_of(undone.now),
            'decision': decision_of(undone.now),
            'progress': presentation.progress(session),
        }
        return _answer(answer)


def _item(store: ReviewStore, number: str) -> Item:
    """Return the item of the number in an address; numbers that are too long are refused unread."""
    if re.fullmatch('[0-9]{1,10}', number) is None:
        raise UnknownItemError(f'there is no such item; they go from 1 to {len(store.items)}')
    return store.item(int(number))


def _crop(request: Request, store: ReviewStore, encode: Callable[[Item], bytes], item: Item) -> Response:
    try:
        content = encode(item)
    except (ImageError, OSError) as error:
        # The rater is told no path; whoever runs the server is.
        print(f'item {item.item_id} cannot be shown: {error}', file=sys.stderr, flush=True)
        return _error(404, f"the image of item {item.item_id} cannot be read; the server's output says why")
    # An address that names the review shows the same for ever; without it, the next review on this port has other crops
    # there.
    is_named = request.query_params.get('db') == store.database_id
    return _tagged(request, content, etag_of(content), 'image/jpeg', _KEPT_BY_BROWSER if is_named else _ASKED_AGAIN)


def _asset(request: Request, asset: Asset) -> Response:
    return _tagged(request, asset.content, asset.etag, asset.media_type, _ASKED_AGAIN)


def _tagged(request: Request, content: bytes, etag: str, media_type: str, keeping: str) -> Response:
    headers = {'etag': etag, 'cache-control': keeping}
    if request.headers.get('if-none-match') == etag:
        return Response(status_code=304, headers=headers)
    # Not as media_type: Starlette would add a charset of its own to some.
    return Response(content, headers={**headers, 'content-type': media_type})


def _answer(value: object, status: int = 200) -> Response:
    return Response(to_json(value), status, media_type=_JSON)


def _error(status: int, text: str) -> Response:
    return _answer({'error': text}, status)


async def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers: dict[str, Any] = dict(getattr(error, 'headers', None) or {})
    response = _error(status, _HTTP_ERRORS.get(status, 'this request cannot be answered'))
    response.headers.update(headers)
    return response


async def _expected_error(request: Request, error: Exception) -> Response:
    status = next(_STATUS_OF[kind] for kind in type(error).__mro__ if kind in _STATUS_OF)
    if status >= 500:
        print(error, file=sys.stderr, flush=True)
    return _error(status, str(error))
