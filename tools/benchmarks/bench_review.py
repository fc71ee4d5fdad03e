"""Speed and memory of the review's server, beside the handler one would write.

    python tools/benchmarks/bench_review.py

The samples are synthetic fields of 500 px, each of which many items share. The plain server opens the file with Pillow,
crops it and sends a PNG, for each request; it knows neither items nor raters. Cold requests ask for crops that were
never asked for, on images that are no longer kept; warm ones ask for the same crops again. Both servers run in
processes of their own, one after the other, and are asked over loopback with connections that are kept.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from rich.console import Console
from rich.table import Table

from mitouts.imaging.image import write_rgb
from mitouts.review.items import Item
from mitouts.review.store import ReviewStore
from mitouts.synthetic.phantom import PhantomConfig, make_field
from mitouts.utils.cli import run

SIZE_PX = 500
FIELD_PX, THUMB_PX = 385, 128
DRAWN_FIELDS = 12
CONNECTIONS = 4

SERVER = """
import sys
from mitouts.review.crops import CropSource
from mitouts.review.serving import serve
from mitouts.review.store import ReviewStore
with ReviewStore.open(sys.argv[1]) as store:
    serve(store, CropSource(sys.argv[2], store.items), {'bench': 'rater'}, blinded=True, port=0)
"""

PLAIN_SERVER = """
import io, json, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from PIL import Image
places = json.loads(Path(sys.argv[1]).read_text())

class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        _, _, _, number, kind = self.path.split('/')
        name, x, y = places[number]
        side = 385 if kind == 'field' else 129
        left, top = x - side // 2, y - side // 2
        crop = Image.open(Path(sys.argv[2]) / name).crop((left, top, left + side, top + side))
        if kind == 'thumb':
            crop = crop.resize((128, 128))
        buffer = io.BytesIO()
        crop.save(buffer, 'PNG')
        self.send_response(200)
        self.send_header('Content-Type', 'image/png')
        self.send_header('Content-Length', str(len(buffer.getvalue())))
        self.end_headers()
        self.wfile.write(buffer.getvalue())

    def log_message(self, *args):
        pass

server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
print(f'plain: http://127.0.0.1:{server.server_address[1]}/?token=', flush=True)
server.serve_forever()
"""


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    port: int
    pid: int
    cookie: str

    def memory_mib(self, key: str) -> float:
        """``VmRSS`` (now) or ``VmHWM`` (at most so far) of the process."""
        status = Path(f'/proc/{self.pid}/status').read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(f'{key}:')) / 1024

    def cpu_ms(self) -> float:
        """Time that the process has computed so far, which other programs change less than they change waiting."""
        fields = Path(f'/proc/{self.pid}/stat').read_text().rpartition(')')[2].split()
        return 1000 * (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def main() -> None:
    """Run the benchmark."""
    args = parse_args()
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        items = write_review(folder, args.items, args.images)
        images = str(folder / 'images')
        with running(SERVER, str(folder / 'review.sqlite'), images) as server:
            ours: dict[str, float] = {'memory at the start, MiB': server.memory_mib('VmRSS')}
            ours |= list_times(server) | crop_times(server, items, args.requests)
            ours |= decision_times(server, items, args.requests)
            ours['memory at most, MiB'] = server.memory_mib('VmHWM')
        with running(PLAIN_SERVER, str(folder / 'places.json'), images) as server:
            plain = crop_times(server, items, args.requests) | {'memory at most, MiB': server.memory_mib('VmHWM')}
    print_table(args, ours, plain, load_before)
    if args.json:
        print(json.dumps({'review': ours, 'plain': plain}, indent=2))


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--items', type=int, default=10_000, help='items of the review (default: 10000)')
    parser.add_argument('--images', type=int, default=300, help='images that they share (default: 300)')
    parser.add_argument('--requests', type=int, default=300, help='requests a measurement (default: 300)')
    parser.add_argument('--json', action='store_true', help='print the figures as JSON')
    return parser.parse_args()


def write_review(folder: Path, num_items: int, num_images: int) -> list[Item]:
    """Write images, the database and the plain server's table of places."""
    drawn = [
        make_field(PhantomConfig(size_px=SIZE_PX), np.random.SeedSequence(seed), positive=True).image
        for seed in range(DRAWN_FIELDS)
    ]
    rng = np.random.default_rng(0)
    for number in range(num_images):
        shifted = np.roll(drawn[number % DRAWN_FIELDS], tuple(rng.integers(0, SIZE_PX, 2)), axis=(0, 1))
        write_rgb(folder / 'images' / f'{number}.png', np.ascontiguousarray(shifted))
    items = [
        Item(
            item_id=number + 1,
            kind='point',
            image_id=number % num_images,
            file_name=f'{number % num_images}.png',
            case_id=f'case {number % 40}',
            scanner=('Aperio CS2', 'Hamamatsu S360')[number % 2],
            mpp=0.25,
            width_px=SIZE_PX,
            height_px=SIZE_PX,
            x_px=float(rng.integers(0, SIZE_PX)),
            y_px=float(rng.integers(0, SIZE_PX)),
            rank=number,
        )
        for number in range(num_items)
    ]
    ReviewStore.create(folder / 'review.sqlite', items, {}).close()
    places = {item.item_id: (item.file_name, *item.anchor_px) for item in items}
    (folder / 'places.json').write_text(json.dumps(places))
    return items


@contextmanager
def running(code: str, *arguments: str) -> Iterator[Server]:
    """Run a server and wait for its address."""
    process = subprocess.Popen([sys.executable, '-c', code, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().split(': ', 1)[1].strip()
        port, token = urlsplit(address).port, address.rpartition('=')[2]
        assert port is not None
        yield Server(port, process.pid, f'mitouts_review_{port}={token}')
    finally:
        process.terminate()
        process.communicate()


def crop_times(server: Server, items: Sequence[Item], requests: int) -> dict[str, float]:
    """Median, 95th percentile and the server's share of computing for each kind of request, in milliseconds."""
    found: dict[str, float] = {}
    taken = 0
    for kind in ('field', 'thumb'):
        for connections in (1, CONNECTIONS):
            # Consecutive items are on different images; the rounds take items of their own.
            chosen = [items[(taken + number) % len(items)].item_id for number in range(requests)]
            taken += requests
            for state in ('cold', 'warm'):
                before = server.cpu_ms()
                times = ask(server, [f'/api/crops/{item_id}/{kind}' for item_id in chosen], connections)
                name = f'{kind}, {state}, {connections} connection{"s" if connections > 1 else ""}'
                found |= quantiles(name, times)
                found[f'{name}, CPU, ms'] = (server.cpu_ms() - before) / requests
    return found


def list_times(server: Server) -> dict[str, float]:
    """The gallery's list: the first answer, and the later ones."""
    first, *later = ask(server, ['/api/items'] * 21, 1)
    return {'list of the items, first, ms': first} | quantiles('list of the items', later)


def decision_times(server: Server, items: Sequence[Item], requests: int) -> dict[str, float]:
    """Decisions, which are on disk when they are answered."""
    bodies = [
        json.dumps({'request': str(uuid.uuid4()), 'item': item.item_id, 'label': 'mitotic'}).encode()
        for item in items[:requests]
    ]
    return quantiles('decision', ask(server, ['/api/decisions'] * len(bodies), 1, bodies))


def ask(server: Server, paths: Sequence[str], connections: int, bodies: Sequence[bytes] | None = None) -> list[float]:
    """Milliseconds of each request, which the connections share."""
    times: list[float] = []
    contents: Sequence[bytes | None] = bodies or [None] * len(paths)
    jobs = iter(list(zip(paths, contents)))
    lock = threading.Lock()

    def work() -> None:
        connection = http.client.HTTPConnection('127.0.0.1', server.port)
        headers = {'Cookie': server.cookie, 'Content-Type': 'application/json'}
        while True:
            with lock:
                job = next(jobs, None)
            if job is None:
                break
            start = time.perf_counter()
            connection.request('GET' if job[1] is None else 'POST', job[0], job[1], headers)
            response = connection.getresponse()
            response.read()
            times.append(1000 * (time.perf_counter() - start))
            if response.status not in (200, 201):
                raise RuntimeError(f'{job[0]} was answered with {response.status}')
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(times) != len(paths):
        raise RuntimeError(f'{len(paths) - len(times)} of {len(paths)} requests failed')
    return times


def quantiles(name: str, times: Sequence[float]) -> dict[str, float]:
    """Median and 95th percentile under a name."""
    return {
        f'{name}, median, ms': statistics.median(times),
        f'{name}, p95, ms': float(np.quantile(times, 0.95)),
    }


def print_table(args: argparse.Namespace, ours: dict[str, float], plain: dict[str, float], load_before: float) -> None:
    """Both servers, and how many times as long (or large) the plain one's is."""
    table = Table('', 'review', 'plain', 'plain / review', title=f'{args.items} items on {args.images} images')
    for name, value in ours.items():
        other = plain.get(name)
        ratio = '' if other is None else f'{other / value:.1f}'
        table.add_row(name, f'{value:.1f}', '' if other is None else f'{other:.1f}', ratio)
    console = Console(stderr=True)
    console.print(table)
    console.print(
        f'{os.cpu_count()} cores, load {load_before:.1f} before and {os.getloadavg()[0]:.1f} after: what else runs '
        'here makes the times longer'
    )


if __name__ == '__main__':
    run(main)
