"""Cuts out the crops that raters see: the surroundings of an item's anchor, in a patch or a slide."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from mitouts.errors import ImageError, ReviewError
from mitouts.imaging.image import probe, read_rgb
from mitouts.review.cache import ByteCache
from mitouts.review.items import Item
from mitouts.review.squares import Read, cut, stays_inside
from mitouts.review.surroundings import Surroundings

if TYPE_CHECKING:
    from mitouts.imaging import SlideReader

FIELD_UM = 96.0
THUMB_UM = 32.0
THUMB_PX = 128
ASSUMED_MPP = 0.25
"""Resolution that an item is cut at where its own is unknown; raters are not told it."""
MAX_FIELD_PX = 2047
"""Largest field; only an image that is judged as a whole comes near it."""
_JPEG = (
    cv2.IMWRITE_JPEG_QUALITY,
    95,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
)
_IMAGE_BYTES = 32 << 20
_CROP_BYTES = 32 << 20
# A reader keeps up to 64 MiB of decoded tiles.
_OPEN_SLIDES = 2
_LOCKS = 16
_PLAUSIBLE_MPP = (0.05, 20.0)
_DECODED_WHOLE = ('.png', '.jpg', '.jpeg', '.bmp')
_WHOLE_TIFF_PX = 4_000_000
_LARGE_PX = 1_000_000
_NAMED = 3


class CropSource:
    """Cuts and encodes the crops of items; its methods may be called from any thread.

    Images are decoded whole and kept; slides and large TIFFs are read in parts.

    Args:
        image_root: Folder that file names are relative to.
        items: Items that crops can be asked for.
        surroundings: Reader of the pixels around patches; None leaves grey there.
        image_bytes: Size of decoded images to cache.
        crop_bytes: Size of encoded crops to cache.

    Raises:
        ReviewError: A file is missing, lies outside the folder, or has an absurd resolution.
    """

    def __init__(
        self,
        image_root: str | Path,
        items: Sequence[Item],
        *,
        surroundings: Surroundings | None = None,
        image_bytes: int = _IMAGE_BYTES,
        crop_bytes: int = _CROP_BYTES,
    ) -> None:
        self._root = Path(image_root)
        _check_files(self._root, {item.file_name for item in items})
        _check_resolutions(items)
        self._images: ByteCache[NDArray[np.uint8]] = ByteCache(image_bytes)
        self._crops: ByteCache[bytes] = ByteCache(crop_bytes)
        self._surroundings = surroundings
        self._slides = _OpenSlides(_OPEN_SLIDES)
        self._mpp: dict[str, float | None] = {}
        # Readers are not thread-safe, and an image that two requests want is decoded once.
        self._file_locks = [threading.Lock() for _ in range(_LOCKS)]
        self._large_image = threading.Lock()

    def mpp(self, item: Item) -> float | None:
        """Return micrometres per pixel: the item's, else the file's, else None."""
        if item.mpp is not None:
            return item.mpp
        if item.file_name not in self._mpp:
            try:
                self._mpp[item.file_name] = probe(self._root / item.file_name).mpp
            except (ImageError, OSError):
                # The crop says so; here it means no more than that the resolution is unknown.
                self._mpp[item.file_name] = None
        return self._mpp[item.file_name]

    def field_px(self, item: Item) -> int:
        """Return the side of the field in level-0 pixels, odd: 96 um, or more if the whole image is judged."""
        side = _odd_side_px(FIELD_UM, self.mpp(item))
        if item.kind == 'image':
            x, y = item.anchor_px
            reach = max(x, y, item.width_px - 1 - x, item.height_px - 1 - y)
            side = max(side, min(2 * reach + 1, MAX_FIELD_PX))
        return side

    def field(self, item: Item) -> bytes:
        """Encode the field as JPEG, with the anchor in its central pixel; outside a patch its source is shown, or grey.

        Raises:
            ImageError: The image cannot be read.
            OSError: Neither can its file.
        """
        return self._encoded(item, 'field', self.field_px(item), None)

    def thumb(self, item: Item) -> bytes:
        """Encode a JPEG of 128 x 128 px that shows the central 32 um.

        Raises:
            ImageError: The image cannot be read.
            OSError: Neither can its file.
        """
        return self._encoded(item, 'thumb', _odd_side_px(THUMB_UM, self.mpp(item)), THUMB_PX)

    def _encoded(self, item: Item, name: str, side_px: int, shown_px: int | None) -> bytes:
        key = item.file_name, item.anchor_px, name, side_px
        crop = self._crops.get(key)
        if crop is None:
            with self._file_locks[hash(item.file_name) % _LOCKS]:
                ground = None
                (x, y), half = item.anchor_px, side_px // 2
                fills = half <= x < item.width_px - half and half <= y < item.height_px - half
                if self._surroundings is not None and not fills:
                    ground = self._surroundings.read(item, side_px)
                pixels = cut(self._reading(item), item.width_px, item.height_px, item.anchor_px, side_px, ground)
            if shown_px is not None:
                method = cv2.INTER_AREA if shown_px <= side_px else cv2.INTER_CUBIC
                pixels = np.asarray(cv2.resize(pixels, (shown_px, shown_px), interpolation=method), np.uint8)
            crop = encode_jpeg(pixels)
            self._crops.put(key, crop, len(crop))
        return crop

    def _reading(self, item: Item) -> Read:
        suffix, size_px = PurePosixPath(item.file_name).suffix.lower(), item.width_px * item.height_px
        if suffix in _DECODED_WHOLE or size_px <= _WHOLE_TIFF_PX:
            image = self._image(item)
            return lambda x, y, width, height: image[y : y + height, x : x + width]
        reader = self._slides.get(self._root / item.file_name)
        if reader.dimensions != (item.width_px, item.height_px):
            raise ImageError(
                f'slide {reader.path} is {reader.dimensions[0]} x {reader.dimensions[1]} px, but its annotation file '
                f'says {item.width_px} x {item.height_px}: items would be in the wrong place'
            )
        return lambda x, y, width, height: reader.read_level(0, x, y, width, height)

    def _image(self, item: Item) -> NDArray[np.uint8]:
        image = self._images.get(item.file_name)
        if image is None:
            size = item.width_px, item.height_px
            num_bytes = 3 * size[0] * size[1]
            if size[0] * size[1] <= _LARGE_PX:
                image = read_rgb(self._root / item.file_name, size)
            else:
                # One at a time, after the others have gone: the memory is that of one large image.
                with self._large_image:
                    self._images.make_room(num_bytes)
                    image = read_rgb(self._root / item.file_name, size)
            self._images.put(item.file_name, image, num_bytes)
        return image


class _OpenSlides:
    """Keeps the most recently used readers; one that is dropped closes itself when nobody reads from it any more."""

    def __init__(self, max_open: int) -> None:
        self._max_open = max_open
        self._readers: OrderedDict[Path, SlideReader] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: Path) -> SlideReader:
        # Only slides need this import, which brings the registries and their megabytes.
        from mitouts.imaging import open_slide

        with self._lock:
            reader = self._readers.pop(path, None) or open_slide(path)
            self._readers[path] = reader
            while len(self._readers) > self._max_open:
                self._readers.popitem(last=False)
        return reader


def encode_jpeg(image: NDArray[np.uint8]) -> bytes:
    """Encode an RGB image as a JPEG of quality 95 without chroma subsampling."""
    done, data = cv2.imencode('.jpg', cv2.cvtColor(image, cv2.COLOR_RGB2BGR), _JPEG)
    if not done:
        raise ImageError(f'a crop of {image.shape[1]} x {image.shape[0]} px cannot be encoded')
    return data.tobytes()


def _odd_side_px(side_um: float, mpp: float | None) -> int:
    return 2 * round(side_um / (mpp or ASSUMED_MPP) / 2) + 1


def _check_files(root: Path, names: Iterable[str]) -> None:
    ordered = sorted(names)
    outside = [name for name in ordered if not stays_inside(name)]
    if outside:
        raise ReviewError(
            f'{len(outside)} of {len(ordered)} file names may lead out of the image folder ({_some(outside)}): '
            'expected paths relative to it, without ".."; give another --image-root, or correct images[].file_name'
        )
    missing = [name for name in ordered if not (root / name).is_file()]
    if missing:
        raise ReviewError(
            f'{len(missing)} of {len(ordered)} images do not exist in {root} ({_some(missing)}): give the folder that '
            'the file names are relative to with --image-root'
        )


def _check_resolutions(items: Sequence[Item]) -> None:
    for item in items:
        if item.mpp is not None and not _PLAUSIBLE_MPP[0] <= item.mpp <= _PLAUSIBLE_MPP[1]:
            raise ReviewError(
                f'image {item.image_id}, {item.file_name}: expected an mpp of {_PLAUSIBLE_MPP[0]} to '
                f'{_PLAUSIBLE_MPP[1]:g} um per pixel, found {item.mpp:g}; correct images[].mpp, or set it to null'
            )


def _some(names: Sequence[str]) -> str:
    return ', '.join(names[:_NAMED]) + (', ...' if len(names) > _NAMED else '')
