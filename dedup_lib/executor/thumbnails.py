"""Small pictures of a few images, for people to look at: drawn anew, or a reason why there is none.

Nothing of an image's file is passed on but its pixels. Pillow is needed where thumbnails are made
only, so nothing else is imported from this library: executors may be sent this module by itself.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image, ImageFile

SIDE_PIXELS = 384
# 400 pictures as base64 stay well below 15 MB.
MOST_THUMBNAIL_BYTES = 24_000
MOST_ENCODED_BYTES = 64_000_000
MOST_DECODED_BYTES = 512_000_000
# What decoding, converting and reducing was seen to take, of 49 megapixels, or a little more; a
# JPEG is reduced while it is decoded, and a progressive one holds its coefficients.
_BYTES_PER_PIXEL = {"JPEG": 7, "MPO": 7, "WEBP": 16, "JPEG2000": 20}
_OTHERS_BYTES_PER_PIXEL = 11
_QUALITIES = (80, 65, 45, 25)
# No EPS, PDF, WMF and the like: they are programs. Nor what nobody keeps images of a table in.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "JPEG2000", "PPM")
_REDUCED_BY_DECODER = {"JPEG", "MPO"}
_EIGHT_BIT_MODES = {"L", "LA", "RGB", "RGBA"}
_DEEP_MODES = {"I", "F", "I;16", "I;16L", "I;16B", "I;16N"}
# What some versions of Pillow would take over from the image.
_NOTHING_ELSE = {"exif": b"", "icc_profile": b"", "xmp": b""}
_ORIENTATION = 0x0112  # EXIF's number for it
_LONGEST_REASON = 160


@dataclass(frozen=True)
class Thumbnail:
    """A small picture of an image, or why there is none.

    Attributes:
        webp: The picture; None where there is none.
        reason: Why there is none.
        note: What the picture doesn't show of the image, or not as it is.
        format: The image's own format, as Pillow names it; None where it isn't known.
        width: The image's own width in pixels, the right way up; `height`, too.
        shown_width: The picture's width in pixels; `shown_height`, too.
        is_transparent: Whether something behind the picture shows through.
    """

    webp: bytes | None = field(default=None, repr=False)
    reason: str | None = None
    note: str | None = None
    format: str | None = None
    width: int | None = None
    height: int | None = None
    shown_width: int | None = None
    shown_height: int | None = None
    is_transparent: bool = False


def make_thumbnail(encoded: bytes | None) -> Thumbnail:
    """Make a small picture of an image. Whatever the bytes are, no error comes of them.

    Of an animation the first frame is shown, of a deep image its range of values, of colours for
    print an approximation in RGB; a note says so. For threads there is `drawing`.

    Args:
        encoded: The image as its file has it; None is a NULL.

    *Cost:* about MOST_DECODED_BYTES of memory; what would take more isn't decoded.
    """
    with drawing() as draw:
        return draw(encoded)


@contextmanager
def drawing() -> Iterator[Callable[[bytes | None], Thumbnail]]:
    """Give a function that makes small pictures as `make_thumbnail` does, for many threads.

    Pillow warns of much that is odd in a file: here it is drawn, or has a reason.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield _made


def _made(encoded: bytes | None) -> Thumbnail:
    if not encoded:
        return Thumbnail(reason="no bytes: NULL" if encoded is None else "no bytes: empty")
    if len(encoded) > MOST_ENCODED_BYTES:
        return Thumbnail(
            reason=f"too large: {len(encoded) / 1e6:,.0f} MB; at most "
            f"{MOST_ENCODED_BYTES / 1e6:,.0f} MB are read"
        )
    try:
        return _opened(encoded)
    except ImportError as error:
        return Thumbnail(reason=f"not drawn: Pillow can't be imported where it is read ({error})")


def _opened(encoded: bytes) -> Thumbnail:
    from PIL import Image, UnidentifiedImageError

    Image.init()
    formats = [name for name in _FORMATS if name in Image.OPEN]
    try:
        image = Image.open(io.BytesIO(encoded), formats=formats)
    except UnidentifiedImageError:
        return Thumbnail(reason=_unknown(encoded))
    except Image.DecompressionBombError:
        return Thumbnail(reason="too large: not decoded, for it may be a decompression bomb")
    except Exception as error:  # of whatever a decoder stumbles over
        return Thumbnail(reason=_broken(error))
    with image:
        # A phone's photograph and its depth, say: a JPEG to whoever looks at it.
        name = "JPEG" if image.format == "MPO" else image.format
        known = Thumbnail(format=name, width=image.width, height=image.height)
        if (needed := _decoded_bytes(image)) > MOST_DECODED_BYTES:
            return replace(
                known,
                reason=f"too large: {image.width:,} x {image.height:,} pixels take "
                f"{needed / 1e6:,.0f} MB, and at most {MOST_DECODED_BYTES / 1e6:,.0f} are spent",
            )
        try:
            return _drawn(image, known)
        except Exception as error:  # as above, and MemoryError
            return replace(known, reason=_broken(error))


def _decoded_bytes(image: ImageFile.ImageFile) -> int:
    each = _BYTES_PER_PIXEL.get(image.format or "", _OTHERS_BYTES_PER_PIXEL)
    return image.width * image.height * each


def _drawn(image: Image.Image, known: Thumbnail) -> Thumbnail:
    from PIL import Image

    notes = [*_notes_of_frames(image), *_notes_of_mode(image)]
    turn = _turn(image)
    if image.format not in _REDUCED_BY_DECODER:
        image = _eight_bits(image)
    image.thumbnail((SIDE_PIXELS, SIDE_PIXELS), Image.Resampling.LANCZOS, reducing_gap=2.0)
    picture = _eight_bits(image)
    width, height = known.width, known.height
    if turn is not None:
        upright = (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM)
        if turn not in (*upright, Image.Transpose.ROTATE_180):
            width, height = height, width
        picture = picture.transpose(turn)
    is_transparent = "A" in picture.mode and picture.getchannel("A").getextrema() != (255, 255)
    webp, picture = _encoded(picture)
    return replace(
        known,
        webp=webp,
        note="; ".join(notes) or None,
        width=width,
        height=height,
        shown_width=picture.width,
        shown_height=picture.height,
        is_transparent=is_transparent,
    )


def _notes_of_frames(image: Image.Image) -> Iterator[str]:
    if image.format == "TIFF":  # counting the frames would read all of them
        if _has_second_frame(image):
            yield "several pages: only the first is shown"
    elif image.format != "MPO" and getattr(image, "is_animated", False):
        yield "animated: only the first frame is shown"


def _has_second_frame(image: Image.Image) -> bool:
    try:
        image.seek(1)
    except (EOFError, OSError, ValueError):
        return False
    finally:
        image.seek(0)
    return True


def _notes_of_mode(image: Image.Image) -> Iterator[str]:
    if image.mode in _DEEP_MODES:
        yield "more than 8 bits a pixel: its darkest value is shown black, its brightest white"
    elif image.mode in {"CMYK", "LAB", "YCCK"}:
        yield f"{image.mode}: colours are approximate"


def _eight_bits(image: Image.Image) -> Image.Image:
    """Turn an image into L, LA, RGB or RGBA."""
    if image.mode in _DEEP_MODES:
        return _stretched(image)
    if image.mode in _EIGHT_BIT_MODES:
        return image
    has_alpha = "transparency" in image.info or image.mode in {"PA", "La", "RGBa"}
    return image.convert("RGBA" if has_alpha else "RGB")


def _stretched(image: Image.Image) -> Image.Image:
    """Bring the range of values that an image has to 0 to 255: converting would cut it off."""
    deep = image if image.mode in {"I", "F"} else image.convert("I")
    least, most = deep.getextrema()
    if not isinstance(least, int | float) or not isinstance(most, int | float):
        raise TypeError("values without a range")
    scale = 255 / ((most - least) or 1)
    return deep.point(lambda value: value * scale - least * scale).convert("L")


def _turn(image: Image.Image) -> Image.Transpose | None:
    """Return how an image is brought upright; None where it is, or its EXIF can't be read."""
    from PIL import Image

    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    try:
        orientation = image.getexif().get(_ORIENTATION)
    except Exception:  # of whatever a broken EXIF makes Pillow stumble over
        return None
    return turns.get(orientation) if isinstance(orientation, int) else None


def _encoded(picture: Image.Image) -> tuple[bytes, Image.Image]:
    """Encode a picture in MOST_THUMBNAIL_BYTES, by lower quality and then by fewer pixels."""
    while True:
        for quality in _QUALITIES:
            stream = io.BytesIO()
            picture.save(stream, "WEBP", quality=quality, method=1, **_NOTHING_ELSE)
            if stream.tell() <= MOST_THUMBNAIL_BYTES:
                return stream.getvalue(), picture
        picture = picture.reduce(2)


def _unknown(encoded: bytes) -> str:
    shown = "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in encoded[:12])
    return f"no picture that is known here (it begins with {shown!r})"


def _broken(error: Exception) -> str:
    words = " ".join(str(error).split())[:_LONGEST_REASON]
    return f"broken: {words or type(error).__name__}"
