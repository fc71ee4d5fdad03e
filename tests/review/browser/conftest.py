"""A real Chromium that talks to the real server, which runs in a process of its own."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mitouts.formats.coco import MITOTIC_FIGURE, make_annotation, make_document, make_image, write_json
from mitouts.imaging.image import write_rgb
from mitouts.review.records import LogEntry
from mitouts.review.store import ReviewStore

ROOT = Path(__file__).resolve().parents[3]
BROWSERS = ('chromium', 'chromium-browser', 'google-chrome')
INSTALL = 'tools/setup_browser.sh installs it'
SECRET_REASON = 'zebra_reason'
SECRET_SCORE = 0.7351
START_S = 60
TIMEOUT_MS = 15_000
DESK = {'width': 1280, 'height': 800}


def browser_path() -> str:
    """The browser to drive; skips the test where there is none."""
    named = os.environ.get('MITOUTS_CHROMIUM')
    found = next(filter(None, map(shutil.which, [named] if named else BROWSERS)), None)
    if found is None:
        pytest.skip(f'no browser ({named or ", ".join(BROWSERS)}): {INSTALL}')
    return found


# Package: while the browser is driven, this thread has an event loop, which tests elsewhere must not find.
@pytest.fixture(scope='package')
def chromium() -> Iterator[Any]:
    """A browser."""
    playwright = pytest.importorskip('playwright.sync_api', reason=f'no playwright; beside it, {INSTALL} (the browser)')
    for package in ('fastapi', 'uvicorn'):
        pytest.importorskip(package, reason=f"no {package}: pip install 'mitouts[review]'; {INSTALL} (the browser)")
    path = browser_path()
    with playwright.sync_playwright() as driver:
        # Chromium's sandbox refuses to run as root.
        arguments = ['--no-sandbox'] if hasattr(os, 'geteuid') and os.geteuid() == 0 else []
        arguments += ['--disable-gpu', '--renderer-process-limit=1']
        browser = driver.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


def draw_tissue(rng: np.random.Generator, size_px: int, dark: Sequence[Sequence[float]]) -> NDArray[np.uint8]:
    """Pink with purple nuclei, and a nearly black blob at each point ``(x, y)``."""
    image = np.empty((size_px, size_px, 3), np.float32)
    image[:] = (229, 190, 212)
    nuclei = [
        (*rng.integers(0, size_px, 2), rng.uniform(5, 9), rng.uniform(0.4, 0.8)) for _ in range(size_px**2 // 900)
    ]
    for x, y, radius, depth in [*nuclei, *((x, y, 8.0, 1.0) for x, y in dark)]:
        left, top = (max(int(value) - 14, 0) for value in (x, y))
        part = image[top : int(y) + 15, left : int(x) + 15]
        rows, columns = np.mgrid[top : top + part.shape[0], left : left + part.shape[1]]
        inside = 1 / (1 + np.exp((np.hypot(columns - x, rows - y) - radius) * 1.5))
        colour = (52, 24, 92) if depth == 1 else (112, 72, 152)
        part += (depth * inside)[..., None] * (np.array(colour, np.float32) - part)
    image += rng.normal(0, 1, image.shape[:2])[..., None]
    return np.clip(image, 0, 255).astype(np.uint8)


def write_review(
    folder: Path,
    *,
    images: int = 12,
    points: int = 1,
    size_px: int = 240,
    mpp: float | None = 0.25,
    whole: int = 0,
    case: str = '{:03d}',
) -> tuple[Path, Path]:
    """Write a data set whose every image was dropped, and its verdicts.

    Args:
        folder: Where to.
        images: How many.
        points: Annotated ones in each, and as many predicted far from them.
        size_px: Side of an image.
        mpp: Micrometres per pixel.
        whole: Further images without points, of which only the label is known.
        case: Format of the cases' names.

    Returns:
        ``hard_samples.json`` and the annotation file.
    """
    rng = np.random.default_rng(7)
    entries: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    samples: list[dict[str, Any]] = []
    for number in range(1, images + whole + 1):
        name, case_id = f'images/{number:03d}.png', case.format(1 + number % 3)
        count = points if number <= images else 0
        inner = size_px // 2
        cells = rng.choice(inner**2, 2 * count, replace=False)
        places = size_px // 4 + np.stack([cells % inner, cells // inner], axis=1)
        annotated, predicted = (places[:count] + 0.5).tolist(), (places[count:] + 0.25).tolist()
        write_rgb(folder / name, draw_tissue(rng, size_px, places[: 2 * min(count, 2)].tolist()))
        scanner = ('Aperio_CS2', 'Hamamatsu_XR')[number % 2]
        entries.append(make_image(number, name, size_px, size_px, case_id=case_id, mpp=mpp, scanner=scanner, label=1))
        for x, y in annotated:
            annotations.append(make_annotation(len(annotations) + 1, number, MITOTIC_FIGURE, x, y))
        samples.append(
            {
                'image_id': number,
                'file_name': name,
                'case_id': case_id,
                'label': 1,
                'verdict': 'drop',
                'reason': SECRET_REASON if number % 2 else 'no_prediction',
                'weight': 0.0,
                'score': SECRET_SCORE,
                'distance_px': 99.0,
                'predicted_points': [[x, y, SECRET_SCORE] for x, y in predicted],
                'annotated_points': annotated,
            }
        )
    write_json(folder / 'train.json', make_document(entries, annotations, name='tissue', tool='tests'))
    # With a radius of nothing, every point is an item.
    info = {'criterion': {'type': 'CentroidDisagreement', 'radius_px': 0.001}, 'teacher_sha256': '0' * 64}
    write_json(folder / 'hard_samples.json', {'info': info, 'images': samples})
    return folder / 'hard_samples.json', folder / 'train.json'


class Server:
    """``tools/review.py serve`` on a port that it keeps when it is started again.

    Attributes:
        secrets: What stands in the hard samples, and must be nowhere in what a blinded rater gets.
    """

    secrets = (SECRET_REASON, 'no_prediction', str(SECRET_SCORE))

    def __init__(
        self, folder: Path, raters: Sequence[str], *arguments: str, tiebreaker: str | None = None, **data: Any
    ) -> None:
        hard_samples, annotations = write_review(folder, **data)
        self.database = folder / 'review.sqlite'
        self.port = free_port()
        self.addresses: dict[str, str] = {}
        self._spare = iter(raters)
        self._command = [sys.executable, str(ROOT / 'tools' / 'review.py'), 'serve', str(hard_samples)]
        self._command += ['--annotations', str(annotations), '--db', str(self.database), '--port', str(self.port)]
        self._command += ['--rater', *raters, *(['--tiebreaker', tiebreaker] if tiebreaker else []), *arguments]
        self._count = len(raters) + (tiebreaker is not None)
        self._output = folder / 'server.txt'
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, and wait until it has printed its addresses."""
        with self._output.open('wb') as output:
            self._process = subprocess.Popen(self._command, stdout=output, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + START_S
        while True:
            printed = self._output.read_text('utf-8')
            self.addresses = dict(re.findall(r'^(\S+): (http\S+)\n', printed, re.MULTILINE))
            if len(self.addresses) == self._count:
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f'the server did not start:\n{printed}')
            time.sleep(0.05)

    def kill(self) -> None:
        """``kill -9``: it can finish nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def spare_rater(self) -> str:
        """A rater who has decided nothing yet, so that tests can share a server."""
        return next(self._spare)

    def log(self, rater: str | None = None) -> list[LogEntry]:
        """What is on disk."""
        with ReviewStore.open(self.database) as store:
            return [entry for entry in store.log() if rater in (None, entry.rater)]

    def states(self, rater: str) -> dict[int, str]:
        """Item -> label, on disk."""
        with ReviewStore.open(self.database) as store:
            return {item_id: decision.label for item_id, decision in store.states(rater).items()}

    def items(self) -> list[Any]:
        """What is reviewed."""
        with ReviewStore.open(self.database) as store:
            return list(store.items)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return int(probe.getsockname()[1])


Serve = Callable[..., Server]


@pytest.fixture(scope='package')
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Starts servers, which end after the last of these tests."""
    started: list[Server] = []

    def start(*arguments: str, raters: int = 1, **options: Any) -> Server:
        names = [f'rater{number}' for number in range(1, raters + 1)]
        started.append(Server(tmp_path_factory.mktemp('review'), names, *arguments, **options))
        return started[-1]

    yield start
    for server in started:
        server.kill()


@pytest.fixture(scope='package')
def server(serve: Serve) -> Server:
    """A blinded review of 24 points for many raters."""
    return serve(raters=90)


@pytest.fixture(scope='package')
def opened(serve: Serve) -> Server:
    """The same, not blinded."""
    return serve('--open', raters=20)


class Rater:
    """A rater at a page, who sees what people see, and notes every complaint of the browser."""

    def __init__(self, server: Server, page: Any, name: str) -> None:
        self.server = server
        self.name = name
        self.page = page
        self.context = page.context
        self.complaints: list[str] = []
        self.requests: list[tuple[str, str]] = []
        # A server that is away is complained about by every browser.
        self.tolerated = re.compile(r'^(?!)')
        self.listeners: list[tuple[str, Callable[[Any], object]]] = []
        self.on('console', lambda message: self._complain(message.type, message.text))
        self.on('pageerror', lambda error: self.complaints.append(f'{error}\n{error.stack}'))
        self.on('request', lambda request: self.requests.append((request.method, request.url)))

    def on(self, event: str, listener: Callable[[Any], object]) -> None:
        """Listen to the page as long as the test lasts."""
        self.listeners.append((event, listener))
        self.page.on(event, listener)

    def leave(self) -> None:
        """Leave the page as if nobody had been there."""
        for event, listener in self.listeners:
            self.page.remove_listener(event, listener)
        if not self.page.is_closed():
            self.page.unroute_all(behavior='ignoreErrors')
            self.page.evaluate('localStorage.clear()')
            # Else what it still asks for, now without a cookie, is complained about to whoever comes next.
            self.page.goto('about:blank')
        self.context.clear_cookies()

    def _complain(self, kind: str, text: str) -> None:
        if kind in ('error', 'warning') and not self.tolerated.search(text):
            self.complaints.append(f'{kind}: {text}')

    def open(self) -> Rater:
        """Open the address that the server printed, up to the gallery."""
        self.page.goto(self.server.addresses[self.name])
        self.page.wait_for_selector('.tile, #viewer:not([hidden]), #notice:not([hidden])')
        # People press keys when they see the page: browsers drop those that come before it is painted.
        self.page.evaluate(
            '() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))'
        )
        return self

    def look(self, item: int | None = None) -> Rater:
        """Open a sample: the one with the focus, or one by its number."""
        if item is None:
            self.page.keyboard.press('Enter')
        else:
            self.page.locator(f'.tile[aria-label^="Sample {item},"]').click()
        return self.wait_for_crop()

    def wait_for_crop(self) -> Rater:
        """Wait until a decision on the sample can be made."""
        self.page.wait_for_function(
            """() => document.querySelector('.crop')
                && new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(
                    () => done(document.querySelector('.crop') !== null)))))"""
        )
        return self

    def wait_for_neighbours(self) -> Rater:
        """Wait until nothing is being fetched ahead."""
        self.page.wait_for_load_state('networkidle')
        return self

    def press(self, *keys: str) -> Rater:
        """Press keys one after the other."""
        for key in keys:
            self.page.keyboard.press(key)
        return self

    def decide(self, key: str) -> int:
        """Press m, n or u when the crop is there; gives the sample it was about."""
        self.wait_for_crop()
        item = self.item
        self.press(key)
        return item

    def wait_for_text(self, selector: str, text: str) -> None:
        """Wait until an element says something."""
        self.page.locator(selector, has_text=re.compile(text)).wait_for()

    def wait_until_saved(self, count: int) -> Rater:
        """Wait until the server has so many of the rater's decisions, as the page says."""
        self.page.wait_for_function(
            "(count) => document.querySelector('#progress-text').textContent.startsWith(`${count} of `)"
            " && !Object.keys(localStorage).some((key) => key.includes(':waiting:'))",
            arg=count,
        )
        return self

    def crops_asked_for(self, kind: str = 'field') -> list[int]:
        """Numbers of the samples whose crop was requested."""
        return [int(found[1]) for _, url in self.requests if (found := re.search(rf'/crops/(\d+)/{kind}', url))]

    @property
    def item(self) -> int:
        """Number of the sample that is shown."""
        return int(self.text('#viewer-title').removeprefix('Sample '))

    def text(self, selector: str) -> str:
        """What an element says."""
        return str(self.page.locator(selector).inner_text())

    def tile_states(self) -> dict[int, str]:
        """Number -> state, of the tiles of the gallery, from what a screen reader says."""
        names = self.page.locator('.tile').evaluate_all(
            "(tiles) => tiles.map((tile) => tile.getAttribute('aria-label'))"
        )
        return {int(name.split(',')[0].split()[1]): name.split(', ')[1] for name in names}

    def box(self, selector: str) -> dict[str, float]:
        """Where an element is, in CSS pixels."""
        return dict(self.page.locator(selector).bounding_box())


@pytest.fixture(scope='package')
def desk(chromium: Any) -> Iterator[Any]:
    """A context that tests use one after the other, because each takes a while to make."""
    context = chromium.new_context()
    context.set_default_timeout(TIMEOUT_MS)
    yield context
    context.close()


Visit = Callable[..., Rater]


@pytest.fixture
def visit(chromium: Any, desk: Any) -> Iterator[Visit]:
    """Opens the page as a rater; afterwards no page may have had anything to complain about.

    ``context`` is one that is open already, ``options`` are those of a new one.
    """
    visitors: list[Rater] = []
    contexts: list[Any] = []

    def open_page(
        server: Server,
        name: str | None = None,
        *,
        context: Any = None,
        viewport: dict[str, int] = DESK,
        color_scheme: str = 'light',
        **options: Any,
    ) -> Rater:
        if context is not None:
            page = context.new_page()
        elif visitors or options:
            contexts.append(chromium.new_context(**options))
            contexts[-1].set_default_timeout(TIMEOUT_MS)
            page = contexts[-1].new_page()
        else:
            page = desk.pages[0] if desk.pages else desk.new_page()
        page.set_viewport_size(viewport)
        page.emulate_media(color_scheme=color_scheme)
        visitors.append(Rater(server, page, name or server.spare_rater()))
        return visitors[-1]

    yield open_page
    for visitor in visitors:
        if visitor.context is desk:
            visitor.leave()
    for page in desk.pages[1:]:
        page.close()
    for context in contexts:
        context.close()
    complaints = list(itertools.chain.from_iterable(visitor.complaints for visitor in visitors))
    assert complaints == []


@pytest.fixture
def rater(server: Server, visit: Visit) -> Rater:
    """Somebody new before the gallery of the shared server."""
    return visit(server).open()
