"""The header of .npy files: what holds 128-bit IDs, and what is refused."""

import io
import struct

import numpy as np
import pytest
from numpy.lib import format as npy_format

from dedup_lib.errors import NotAListError, UnreadableFileError
from dedup_lib.lists.npy_header import HEAD_BYTES, parse_header

IDS = np.zeros(3, "u8,u8")
KEYS = "'fortran_order': False, 'shape': (0,)"
FIELDS = "'descr': [('f0', '<u8'), ('f1', '<u8')]"


def saved(values, version=None):
    stream = io.BytesIO()
    npy_format.write_array(stream, values, version)
    return stream.getvalue()


def parse(data):
    return parse_header(data[:HEAD_BYTES], len(data), "file 'x.npy'")


def with_header(text, version=1):
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text.encode()


@pytest.mark.parametrize("version", [None, (1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("num_ids", [0, 1, 3])
def test_ids_are_found_in_every_version(version, num_ids):
    data = saved(IDS[:num_ids], version)
    found = parse(data)
    assert found == (len(data) - 16 * num_ids, num_ids)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros(3, "u8"), r"it holds '<u8' of shape \(3,\), and must hold 128-bit IDs"),
        (np.zeros(3, "u8,u4"), r"'<u4'"),
        (np.zeros(3, ">u8,>u8"), r"'>u8'"),
        (np.zeros(3, "i8,i8"), r"'<i8'"),
        (np.zeros((3, 2), "u8"), r"shape \(3, 2\)"),
        (np.zeros((1, 3), "u8,u8"), r"shape \(1, 3\)"),
        (np.zeros((), "u8,u8"), r"shape \(\)"),
        (np.zeros((2, 3), "u8,u8", order="F"), r"in Fortran's order"),
        (np.zeros(3, ",".join(["u8"] * 90)), r"a header of \d+ bytes"),
    ],
)
def test_what_is_no_list_of_ids_is_refused(values, message):
    with pytest.raises(NotAListError, match=message):
        parse(saved(values))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "has no bytes"),
        (b"PAR1 and more", r"is no \.npy file"),
        (saved(IDS)[:6], "ends within its header"),
        (saved(IDS)[:9], "ends within its header"),
        (saved(IDS)[:100], "ends within its header"),
        (saved(IDS)[:-1], "has 175 bytes, and 3 IDs would be 176"),
        (saved(IDS) + b"\n", "has 177 bytes"),
        (b"\x93NUMPY\x09\x00v\x00", "version"),
        (with_header("{"), "broken header"),
        (with_header("{'descr': 1}"), "broken header"),
        (with_header(f"{{{FIELDS}, {KEYS}, 'more': 1}}"), "broken header"),
        (with_header("[" * 900), "broken header"),
        (with_header("-" * 1000 + "1"), "broken header"),
        (with_header("__import__('os').getcwd()"), "broken header"),
        (with_header("\x00"), "broken header"),
        (b"\x93NUMPY\x03\x00\x02\x00\x00\x00\xff\xfe", "broken header"),
        (with_header("{[]: 1}"), "broken header"),
    ],
)
def test_what_is_broken_is_refused(data, message):
    with pytest.raises(UnreadableFileError, match=message):
        parse(data)


@pytest.mark.parametrize("shape", ["(True,)", "(-1,)", "(0.0,)", "0", "[0]", "('0',)", "None"])
def test_a_length_that_is_none_is_refused(shape):
    with pytest.raises(NotAListError):
        parse(with_header(f"{{{FIELDS}, 'fortran_order': False, 'shape': {shape}}}"))
