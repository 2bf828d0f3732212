"""Whatever the bytes are: a small picture that holds pixels only, or a reason."""

import io
import random
import struct
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from dedup_lib.executor import thumbnails
from dedup_lib.executor.thumbnails import MOST_THUMBNAIL_BYTES, Thumbnail, drawing, make_thumbnail

Image = pytest.importorskip("PIL.Image", reason="Pillow isn't installed")

from tests.support.review.made_review import encoded  # noqa: E402  # needs Pillow

ORIENTATION = 0x0112


def drawn(thumbnail):
    assert thumbnail.webp is not None, thumbnail.reason
    picture = Image.open(io.BytesIO(thumbnail.webp))
    assert picture.format == "WEBP"
    assert (picture.width, picture.height) == (thumbnail.shown_width, thumbnail.shown_height)
    return picture


def halves(left, right, mode="RGB", size=(200, 100)):
    image = Image.new(mode, size, right)
    image.paste(left, (0, 0, size[0] // 2, size[1]))
    return image


def deep_halves(left, right, size=(200, 100)):
    row = struct.pack("<H", left) * (size[0] // 2) + struct.pack("<H", right) * (size[0] // 2)
    return Image.frombytes("I;16", size, row * size[1])


def saved(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png_of(width, height, rows=b"", **more):
    """Make a PNG that says it has so many pixels; more chunks come before them."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + b"".join(chunk(n.encode(), d) for n, d in more.items())
    chunks += chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "JPEG2000"])
def test_an_image_gets_a_small_picture_of_its_shape(kind):
    thumbnail = make_thumbnail(encoded("teal", (1200, 600), format=kind))
    assert (thumbnail.format, thumbnail.width, thumbnail.height) == (kind, 1200, 600)
    red, green, blue = drawn(thumbnail).convert("RGB").resize((1, 1)).getpixel((0, 0))
    assert drawn(thumbnail).size == (384, 192)
    assert red < 30
    assert abs(green - 128) + abs(blue - 128) < 24
    assert thumbnail.note is None


@pytest.mark.parametrize(
    ("orientation", "dark", "size"),
    [
        (1, "left", (200, 100)),
        (2, "right", (200, 100)),
        (3, "right", (200, 100)),
        (4, "left", (200, 100)),
        (5, "top", (100, 200)),
        (6, "top", (100, 200)),
        (7, "bottom", (100, 200)),
        (8, "bottom", (100, 200)),
    ],
)
def test_an_image_is_shown_upright_and_its_size_is_the_upright_one(orientation, dark, size):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    thumbnail = make_thumbnail(saved(halves("black", "white"), "JPEG", exif=exif))
    assert (thumbnail.width, thumbnail.height) == size
    picture = drawn(thumbnail).convert("L")
    width, height = picture.size
    points = {
        "left": (width // 5, height // 2),
        "right": (width * 4 // 5, height // 2),
        "top": (width // 2, height // 5),
        "bottom": (width // 2, height * 4 // 5),
    }
    assert picture.getpixel(points[dark]) < 60


def test_nothing_of_the_file_is_passed_on_but_its_pixels():
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    exif[0x010E] = "SECRET PLACE"
    image = halves("black", "white")
    for kind, options in [
        ("JPEG", {"exif": exif, "icc_profile": b"SECRET PROFILE", "comment": b"SECRET WORDS"}),
        ("WEBP", {"exif": exif, "icc_profile": b"SECRET PROFILE", "xmp": b"SECRET XMP"}),
        ("PNG", {"exif": exif, "icc_profile": b"SECRET PROFILE"}),
    ]:
        made = drawn(make_thumbnail(saved(image, kind, **options)))
        assert made.info.keys() <= {"loop", "background", "timestamp", "duration"}
        assert dict(made.getexif()) == {}
        data = make_thumbnail(saved(image, kind, **options) + b"<script>SECRET</script>").webp
        assert b"SECRET" not in data
        assert not {b"EXIF", b"ICCP", b"XMP "} & {data[at : at + 4] for at in range(len(data))}


@pytest.mark.parametrize(
    ("image", "note"),
    [
        (lambda: Image.new("CMYK", (90, 60), (0, 255, 255, 0)), "CMYK: colours are approximate"),
        (lambda: deep_halves(1000, 3000), "more than 8 bits a pixel"),
        (lambda: halves(-5.0, 0.5, "F", (90, 60)), "more than 8 bits a pixel"),
    ],
)
def test_what_a_screen_cannot_show_as_it_is_is_shown_with_a_note(image, note):
    thumbnail = make_thumbnail(saved(image(), "TIFF"))
    assert note in thumbnail.note
    drawn(thumbnail)


def test_a_deep_image_is_not_cut_off_at_255():
    thumbnail = make_thumbnail(saved(deep_halves(1000, 3000), "PNG"))
    picture = drawn(thumbnail).convert("L")
    assert picture.getpixel((20, 50)) < 20
    assert picture.getpixel((180, 50)) > 235


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_of_an_animation_the_first_frame_is_shown_with_a_note(kind):
    frames = [Image.new("RGB", (80, 60), colour) for colour in ("red", "blue", "lime")]
    image = saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=50)
    thumbnail = make_thumbnail(image)
    assert thumbnail.note == "animated: only the first frame is shown"
    red, green, blue = drawn(thumbnail).convert("RGB").getpixel((40, 30))
    assert (red > 200, green < 60, blue < 60) == (True, True, True)
    assert not getattr(drawn(thumbnail), "is_animated", False)


def test_of_several_pages_the_first_is_shown_with_a_note():
    pages = [Image.new("RGB", (80, 60), colour) for colour in ("red", "blue")]
    thumbnail = make_thumbnail(saved(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    assert thumbnail.note == "several pages: only the first is shown"
    assert drawn(thumbnail).convert("RGB").getpixel((40, 30))[0] > 200


def test_what_is_transparent_stays_so():
    half = halves((0, 128, 0, 0), (0, 128, 0, 255), "RGBA")
    thumbnail = make_thumbnail(saved(half, "PNG"))
    assert thumbnail.is_transparent
    assert drawn(thumbnail).getpixel((20, 50))[3] == 0
    assert not make_thumbnail(saved(halves("red", "blue", "RGBA"), "PNG")).is_transparent


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (None, "no bytes: NULL"),
        (b"", "no bytes: empty"),
        (b"<svg onload=alert(1)>", "unknown image format (it begins with '<svg onload=')"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "unknown image format"),
        (b"%PDF-1.7\n", "unknown image format"),
        (b"\xff\xd8\xff\xe0 no JPEG", "broken: "),
        (encoded("red", (640, 480))[:-900], "broken: image file is truncated"),
        (encoded("red", (640, 480), format="PNG")[:-80], "broken: "),
    ],
)
def test_what_is_no_image_has_a_reason(image, reason):
    thumbnail = make_thumbnail(image)
    assert thumbnail.webp is None
    assert thumbnail.reason.startswith(reason)


def test_a_decompression_bomb_is_not_decoded(monkeypatch):
    """One that is beyond Pillow's own limit, and one below it."""
    decoded = []
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda image: decoded.append(image.size))
    bomb = make_thumbnail(png_of(60_000, 60_000))
    large = make_thumbnail(png_of(10_000, 6_000, bytes(6_000 * 10_001)))
    assert bomb == Thumbnail(
        reason="too large: not decoded, since it may be a decompression bomb",
    )
    assert large == Thumbnail(
        reason="too large: 10,000 x 6,000 pixels take 660 MB of memory; at most 512 MB are used",
        format="PNG",
        width=10_000,
        height=6_000,
    )
    assert decoded == []


def test_what_pillow_warns_of_is_drawn_or_has_its_own_reason():
    odd = png_of(3, 2, bytes(8), acTL=bytes(8))  # an animation of no frames
    with pytest.warns(UserWarning, match="APNG"):
        Image.open(io.BytesIO(odd))
    drawn(make_thumbnail(odd))
    large = make_thumbnail(png_of(10_000, 9_500))
    assert (
        large.reason
        == "too large: 10,000 x 9,500 pixels take 1,045 MB of memory; at most 512 MB are used"
    )


def test_a_file_that_is_too_large_is_not_opened(monkeypatch):
    monkeypatch.setattr(thumbnails, "MOST_ENCODED_BYTES", 1_500_000)
    assert make_thumbnail(bytes(2_000_000)).reason == "too large: 2 MB; at most 2 MB are read"


def test_noise_fits_too():
    noise = random.Random(0).randbytes(900 * 900 * 3)
    thumbnail = make_thumbnail(saved(Image.frombytes("RGB", (900, 900), noise), "PNG"))
    assert len(thumbnail.webp) <= MOST_THUMBNAIL_BYTES
    drawn(thumbnail)


@pytest.mark.parametrize("size", [(1, 1), (9_000, 1), (1, 9_000)])
def test_odd_shapes_are_drawn(size):
    picture = drawn(make_thumbnail(encoded("red", size, format="PNG")))
    assert max(picture.size) <= 384


def test_no_byte_that_is_changed_is_an_error():
    """Any warning of Pillow's would be an error, here."""
    chance = random.Random(20)
    kinds = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "JPEG2000", "AVIF")
    whole = [
        encoded("teal", (90, 60), format=kind)
        for kind in kinds
        if kind in Image.registered_extensions().values()
    ]
    for number in range(600):
        image = bytearray(whole[number % len(whole)])
        for _ in range(chance.randint(1, 6)):
            image[chance.randrange(len(image))] = chance.randrange(256)
        thumbnail = make_thumbnail(bytes(image))
        assert (thumbnail.webp is None) == (thumbnail.reason is not None)


def test_many_threads_draw_what_one_does():
    images = [encoded(colour, format="PNG") for colour in ("red", "lime", "blue", "black") * 8]
    with drawing() as draw, ThreadPoolExecutor(4) as threads:
        made = list(threads.map(draw, images))
    assert made == [make_thumbnail(image) for image in images]


def test_without_pillow_that_is_the_reason(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert "Pillow can't be imported" in make_thumbnail(b"an image").reason
