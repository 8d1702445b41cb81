"""JPEGs of which a part is missing, although libjpeg decodes them without an error.

libjpeg fills what is missing with grey, or makes noise of the zeros that an interrupted copy
left, and only counts warnings, which Pillow does not pass on. So whatever looks suspicious, which
is cheap to see, is tested: a scan that was decoded to its end ignores bytes that are added behind
it, and needs the last that it has.
"""

from __future__ import annotations

import re
from io import BytesIO

import numpy as np
from PIL import Image

from pawsure.data.headers import JpegHeader
from pawsure.errors import PictureError

_ZEROS = bytes(256)  # disks and downloads lose blocks of 512 at least
_FILL = b"\xff" * 256
# Within pixels 0xFF is followed by a zero or is a restart marker; else the pixels end there.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_MARKER_OR_RESTART = re.compile(rb"\xff[^\x00\xff]")
_RESTART = re.compile(rb"\xff([\xd0-\xd7])")
_END = b"\xff\xd9"
_SCAN = b"\xff\xda"
_GREYS = {3: {128}, 1: {128}, 4: {127, 128}}  # what libjpeg fills with; inks are inverted
_ADDED = bytes(range(1, 97))
# What replaces the last bytes of a scan. In plain pictures some mean the same as those.
_OTHERS = (b"\x55", b"\xa9", b"\xfe", bytes(range(1, 97)), bytes(range(254, 120, -3)))
_NEEDED_BYTES = 32
_MAX_GAPS = 8
_LOST = "damaged: a part of its pixels is lost; copy it again or remove it"


def check_pixels(data: bytes, image: Image.Image, header: JpegHeader) -> None:
    """Make sure that a JPEG, decoded at any scale, lacks no pixels; takes no time for most.

    Raises:
        PictureError: a part is missing.
    """
    if header.scan >= 0 and (
        _lacks_passes(data, header) or _ends_grey(image) or _gaps(data, header.scan)
    ):
        _check_scans(data, header)


def check_markers(data: bytes, header: JpegHeader) -> None:
    """Make sure that a JPEG's pixels go on to its end; only progressive ones are decoded.

    Raises:
        PictureError: a part is missing.
    """
    if header.scan < 0:
        return
    _check_restarts(data, header)
    end = _MARKER.search(data, header.scan + 2)
    if header.passes > 1 or end is None or end[0] != _END or _gaps(data, header.scan):
        _check_scans(data, header)


def _check_scans(data: bytes, header: JpegHeader) -> None:
    """Test every scan of a JPEG; takes a few decodes."""
    scan = header.scan
    whole = _decoded(data)
    if whole is None:
        raise PictureError("damaged: its pixels can't be decoded; copy it again or remove it")
    places = [*_gaps(data, scan), *_scan_ends(data, scan)]
    extended, at = b"", 0
    for place in sorted(set(places)):
        extended += data[at:place].rstrip(b"\xff") + _ADDED  # 0xFF would begin a marker
        at = place
    if _differs(extended + data[at:], whole) or _lacks_passes(data, header):
        raise PictureError("truncated: a part of its pixels is missing; copy it again or remove it")
    # In a later pass a byte may change less than a level; in a plain picture any mean the same.
    if header.passes > 1 or (whole == whole[0, 0]).all():
        return
    for place in places:
        body = scan + 2 + int.from_bytes(data[scan + 2 : scan + 4])
        before = data[: max(place - _NEEDED_BYTES, body)].rstrip(b"\xff")
        count = place - len(before)
        others = [(pattern * count)[:count] for pattern in _OTHERS]
        if count >= _NEEDED_BYTES and not any(
            _differs(before + other + data[place:], whole) for other in others
        ):
            raise PictureError(_LOST)


def _check_restarts(data: bytes, header: JpegHeader) -> None:
    """Make sure that all restart markers are there, in order; only some cameras write them."""
    if header.restarts is None or header.passes > 1:
        return
    end = data.find(_END, header.scan)
    found = [marker[0] & 7 for marker in _RESTART.findall(data, header.scan, end)]
    if found != [number % 8 for number in range(header.restarts)]:
        raise PictureError(_LOST)


def _lacks_passes(data: bytes, header: JpegHeader) -> bool:
    """Whether some coefficients of a progressive JPEG never come to their last bit.

    Each scan has, of some colours, the coefficients `first` to `last` of every square but for
    their lowest bits.
    """
    if header.passes == 1 or data[header.frame + 1] != 0xC2:
        return False
    count = data[header.frame + 9]
    missing = {colour: [-1] * 64 for colour in data[header.frame + 10 :][: 3 * count : 3]}
    at = header.scan
    while at >= 0 and len(data) > at + 8 + 2 * data[at + 4]:
        colours = data[at + 5 : at + 5 + 2 * data[at + 4] : 2]
        first, last, bits = data[at + 5 + 2 * len(colours) :][:3]
        for colour in colours:
            if colour in missing and last < 64:
                missing[colour][first : last + 1] = [bits & 15] * (last + 1 - first)
        end = _MARKER.search(data, at + 2)
        at = data.find(_SCAN, end.start()) if end is not None and end[0] != _END else -1
    return any(any(bits) for bits in missing.values())


def _scan_ends(data: bytes, start: int) -> list[int]:
    ends = []
    while start >= 0:
        found = _MARKER.search(data, start + 2)
        ends.append(found.start() if found else len(data))
        if found is None or found[0] == _END:
            break
        start = data.find(_SCAN, found.start())
    return ends


def _gaps(data: bytes, start: int) -> list[int]:
    """Where what follows on long runs of one byte ends, up to the end of the picture."""
    zeros, fill = data.find(_ZEROS, start), data.find(_FILL, start)
    if zeros < 0 and fill < 0:
        return []
    end = data.find(_END, start)
    end = len(data) if end < 0 else end
    places = [] if fill < 0 or fill > end else [fill]
    while 0 <= zeros < end and len(places) < _MAX_GAPS:
        found = _MARKER_OR_RESTART.search(data, zeros + len(_ZEROS))
        places.append(found.start() if found else len(data))
        zeros = data.find(_ZEROS, places[-1])
    return places


def _ends_grey(image: Image.Image) -> bool:
    """Whether the last pixel is the grey that libjpeg fills with."""
    last = image.getpixel((image.width - 1, image.height - 1))
    levels = last if isinstance(last, tuple) else (last,)
    return set(levels) <= _GREYS[len(levels)]


def _differs(data: bytes, whole: np.ndarray) -> bool:
    found = _decoded(data)
    return found is None or not np.array_equal(found, whole)


def _decoded(data: bytes) -> np.ndarray | None:
    """Pixels of a JPEG as libjpeg makes them; None if it does not."""
    with Image.open(BytesIO(data), formats=["JPEG"]) as image:
        try:
            image.load()
        except OSError:
            return None
        return np.asarray(image)
