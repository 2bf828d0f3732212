"""Make small pictures of images for people, or give the reason why there is no picture.

The pictures are new: they take only pixels from the file of an image.
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
# So 400 pictures as base64 take less than 15 MB.
MOST_THUMBNAIL_BYTES = 24_000
MOST_ENCODED_BYTES = 64_000_000
MOST_DECODED_BYTES = 512_000_000
# The memory that decoding, converting and reducing took for 49 megapixels, rounded up. A JPEG is
# reduced while it is decoded; a progressive one keeps its coefficients.
_BYTES_PER_PIXEL = {"JPEG": 7, "MPO": 7, "WEBP": 16, "JPEG2000": 20}
_OTHERS_BYTES_PER_PIXEL = 11
_QUALITIES = (80, 65, 45, 25)
# Without EPS, PDF, WMF and similar formats, which are programs, and without unusual formats.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "JPEG2000", "PPM")
_REDUCED_BY_DECODER = {"JPEG", "MPO"}
_EIGHT_BIT_MODES = {"L", "LA", "RGB", "RGBA"}
_DEEP_MODES = {"I", "F", "I;16", "I;16L", "I;16B", "I;16N"}
# Otherwise some versions of Pillow would copy these from the image.
_NOTHING_ELSE = {"exif": b"", "icc_profile": b"", "xmp": b""}
_ORIENTATION = 0x0112  # EXIF's number for the orientation
_LONGEST_REASON = 160


@dataclass(frozen=True)
class Thumbnail:
    """A small picture of an image, or the reason why there is no picture.

    Attributes:
        webp: The picture; None if there is no picture.
        reason: The reason why there is no picture.
        note: How the picture differs from the image.
        format: The format of the image, as Pillow calls it; None if it is unknown.
        width: The width of the upright image in pixels.
        height: The height of the upright image in pixels.
        shown_width: The width of the picture in pixels.
        shown_height: The height of the picture in pixels.
        is_transparent: Whether the background shows through the picture.
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
    """Make a small picture of an image. Bytes that are not an image get a reason, not an error.

    A picture has a note if it differs: it shows the first frame of an animation, a smaller range of
    values of an image with more than 8 bits, and RGB colours instead of colours for print. Threads
    use `drawing`.

    Args:
        encoded: The bytes of the image's file; None for NULL.

    *Cost:* about MOST_DECODED_BYTES of memory; an image that would take more is not decoded.
    """
    with drawing() as draw:
        return draw(encoded)


@contextmanager
def drawing() -> Iterator[Callable[[bytes | None], Thumbnail]]:
    """Yield a function like `make_thumbnail` for many threads.

    Pillow's warnings about unusual files are hidden: each image has a picture or a reason.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield _make


def _make(encoded: bytes | None) -> Thumbnail:
    if not encoded:
        return Thumbnail(reason="no bytes: NULL" if encoded is None else "no bytes: empty")
    if len(encoded) > MOST_ENCODED_BYTES:
        return Thumbnail(
            reason=f"too large: {len(encoded) / 1e6:,.0f} MB; at most "
            f"{MOST_ENCODED_BYTES / 1e6:,.0f} MB are read"
        )
    try:
        return _open_and_draw(encoded)
    except ImportError as error:
        return Thumbnail(reason=f"not drawn: Pillow can't be imported where it is read ({error})")


def _open_and_draw(encoded: bytes) -> Thumbnail:
    from PIL import Image, UnidentifiedImageError

    Image.init()
    formats = [name for name in _FORMATS if name in Image.OPEN]
    try:
        image = Image.open(io.BytesIO(encoded), formats=formats)
    except UnidentifiedImageError:
        return Thumbnail(reason=_unknown_format(encoded))
    except Image.DecompressionBombError:
        return Thumbnail(reason="too large: not decoded, since it may be a decompression bomb")
    except Exception as error:  # a decoder may fail in any way
        return Thumbnail(reason=_broken_image(error))
    with image:
        # For example a phone's photo with depth data: people call it a JPEG.
        name = "JPEG" if image.format == "MPO" else image.format
        known = Thumbnail(format=name, width=image.width, height=image.height)
        if (needed := _decoded_bytes(image)) > MOST_DECODED_BYTES:
            return replace(
                known,
                reason=f"too large: {image.width:,} x {image.height:,} pixels take "
                f"{needed / 1e6:,.0f} MB of memory; at most {MOST_DECODED_BYTES / 1e6:,.0f} MB "
                "are used",
            )
        try:
            return _draw(image, known)
        except Exception as error:  # a decoder may fail in any way, and memory may run out
            return replace(known, reason=_broken_image(error))


def _decoded_bytes(image: ImageFile.ImageFile) -> int:
    each = _BYTES_PER_PIXEL.get(image.format or "", _OTHERS_BYTES_PER_PIXEL)
    return image.width * image.height * each


def _draw(image: Image.Image, known: Thumbnail) -> Thumbnail:
    from PIL import Image

    notes = [*_notes_of_frames(image), *_notes_of_mode(image)]
    turn = _find_turn(image)
    if image.format not in _REDUCED_BY_DECODER:
        image = _to_eight_bits(image)
    image.thumbnail((SIDE_PIXELS, SIDE_PIXELS), Image.Resampling.LANCZOS, reducing_gap=2.0)
    picture = _to_eight_bits(image)
    width, height = known.width, known.height
    if turn is not None:
        upright = (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM)
        if turn not in (*upright, Image.Transpose.ROTATE_180):
            width, height = height, width
        picture = picture.transpose(turn)
    is_transparent = "A" in picture.mode and picture.getchannel("A").getextrema() != (255, 255)
    webp, picture = _encode(picture)
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
    if image.format == "TIFF":  # a count of the frames would read all of them
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


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Convert an image to mode L, LA, RGB or RGBA."""
    if image.mode in _DEEP_MODES:
        return _stretch_values(image)
    if image.mode in _EIGHT_BIT_MODES:
        return image
    has_alpha = "transparency" in image.info or image.mode in {"PA", "La", "RGBa"}
    return image.convert("RGBA" if has_alpha else "RGB")


def _stretch_values(image: Image.Image) -> Image.Image:
    """Map the range of an image's values to 0 to 255; Pillow's `convert` would clip values."""
    deep = image if image.mode in {"I", "F"} else image.convert("I")
    least, most = deep.getextrema()
    if not isinstance(least, int | float) or not isinstance(most, int | float):
        raise TypeError("its values have no range")
    scale = 255 / ((most - least) or 1)
    return deep.point(lambda value: value * scale - least * scale).convert("L")


def _find_turn(image: Image.Image) -> Image.Transpose | None:
    """Return how to turn an image upright; None if it is upright, or its EXIF can't be read."""
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
    except Exception:  # Pillow may fail in any way on a broken EXIF
        return None
    return turns.get(orientation) if isinstance(orientation, int) else None


def _encode(picture: Image.Image) -> tuple[bytes, Image.Image]:
    """Encode a picture within MOST_THUMBNAIL_BYTES: reduce the quality, then the pixels."""
    while True:
        for quality in _QUALITIES:
            stream = io.BytesIO()
            picture.save(stream, "WEBP", quality=quality, method=1, **_NOTHING_ELSE)
            if stream.tell() <= MOST_THUMBNAIL_BYTES:
                return stream.getvalue(), picture
        picture = picture.reduce(2)


def _unknown_format(encoded: bytes) -> str:
    shown = "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in encoded[:12])
    return f"unknown image format (it begins with {shown!r})"


def _broken_image(error: Exception) -> str:
    words = " ".join(str(error).split())[:_LONGEST_REASON]
    return f"broken: {words or type(error).__name__}"
