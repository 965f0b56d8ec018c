"""The kernel's structs and what is read from them. Frames of a real kernel: tests/vm."""

from __future__ import annotations

import errno
import fcntl
import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam import v4l2


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("QUERYCAP", 0x80685600),
        ("ENUM_FMT", 0xC0405602),
        ("S_FMT", 0xC0D05605),
        ("REQBUFS", 0xC0145608),
        ("QUERYBUF", 0xC0585609),
        ("QBUF", 0xC058560F),
        ("DQBUF", 0xC0585611),
        ("STREAMON", 0x40045612),
        ("STREAMOFF", 0x40045613),
        ("S_PARM", 0xC0CC5616),
        ("ENUM_FRAMESIZES", 0xC02C564A),
        ("ENUM_FRAMEINTERVALS", 0xC034564B),
    ],
)
@pytest.mark.skipif(struct.calcsize("P") != 8, reason="numbers of a 64-bit program")
def test_ioctl_numbers_are_those_of_the_c_header(name: str, number: int) -> None:
    assert getattr(v4l2, name) == number


@pytest.mark.parametrize(
    ("layout", "size"),
    [
        (v4l2.CAPABILITY, 104),
        (v4l2.FMTDESC, 64),
        (v4l2.FRMSIZE, 44),
        (v4l2.FRMIVAL, 52),
        (v4l2.FORMAT, 204),
        (v4l2.PARM, 204),
        (v4l2.REQUESTBUFFERS, 20),
        (v4l2.BUFFER, 68),
    ],
)
def test_sizes_in_a_32_bit_program(layout: str, size: int) -> None:
    """Without alignment ("=") a long is four bytes and nothing is padded: exactly the 32-bit ARM layout."""
    assert struct.calcsize("=" + layout) == size


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=4, max_size=4))
def test_fourcc_round_trip(name: str) -> None:
    assert v4l2.fourcc_name(v4l2.fourcc(name)) == name.rstrip()


def test_fourcc_is_little_endian() -> None:
    assert v4l2.fourcc("YUYV") == 0x56595559
    assert v4l2.fourcc_name(v4l2.fourcc("Y16") | 1 << 31) == "Y16-BE"


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_nearest_size_of_a_range_is_one_of_the_range(width: int, height: int) -> None:
    sizes = v4l2.Sizes((64, 48), (1920, 1080), (16, 8))
    got = sizes.nearest(width, height)
    for axis, wanted in enumerate((width, height)):
        allowed = range(sizes.min[axis], sizes.max[axis] + 1, sizes.step[axis])
        assert got[axis] in allowed or got[axis] == sizes.max[axis]
        assert abs(got[axis] - wanted) <= min(abs(a - wanted) for a in allowed)


Kernel = Callable[[int, bytearray], None]


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Callable[[Kernel], v4l2.Node]:
    """A node whose ioctls are answered by a function."""

    def make(kernel: Kernel) -> v4l2.Node:
        made = v4l2.Node("/dev/null")
        monkeypatch.setattr(fcntl, "ioctl", lambda fd, number, data, mutate: kernel(number, data))
        return made

    return make


def test_capability_prefers_what_the_node_itself_can_do(node: Callable[[Kernel], v4l2.Node]) -> None:
    def kernel(number: int, data: bytearray) -> None:
        assert number == v4l2.QUERYCAP
        node_caps = v4l2.CAP_STREAMING | 0x0080_0000  # metadata capture
        everything = node_caps | v4l2.CAP_VIDEO_CAPTURE | v4l2.CAP_DEVICE_CAPS
        struct.pack_into("16s32s32sIII", data, 0, b"uvcvideo", b"C920", b"usb-1", 6, everything, node_caps)

    who = node(kernel).capability()
    assert (who.driver, who.card, who.bus) == ("uvcvideo", "C920", "usb-1")
    assert not who.captures


@pytest.mark.parametrize(
    ("caps", "captures"),
    [
        (v4l2.CAP_VIDEO_CAPTURE | v4l2.CAP_STREAMING, True),
        (v4l2.CAP_VIDEO_CAPTURE, False),
        (v4l2.CAP_VIDEO_CAPTURE | v4l2.CAP_STREAMING | v4l2.CAP_VIDEO_M2M, False),
        (v4l2.CAP_STREAMING | v4l2.CAP_VIDEO_M2M_MPLANE, False),
    ],
)
def test_which_nodes_give_pictures(caps: int, captures: bool) -> None:
    assert v4l2.Capability("", "", "", caps).captures is captures


def test_formats_with_single_sizes_ranges_and_none(node: Callable[[Kernel], v4l2.Node]) -> None:
    names = [b"MJPG", b"YUYV", b"GREY"]

    def kernel(number: int, data: bytearray) -> None:
        index = struct.unpack_from("I", data)[0]
        if number == v4l2.ENUM_FMT and index < 3:
            struct.pack_into("32s4s", data, 12, b"text", names[index])
            return
        which = bytes(data[4:8])
        if number == v4l2.ENUM_FRAMESIZES and which == b"MJPG" and index < 2:
            struct.pack_into("III", data, 8, 1, 640 * (index + 1), 480 * (index + 1))
            return
        if number == v4l2.ENUM_FRAMESIZES and which == b"YUYV" and index == 0:
            struct.pack_into("7I", data, 8, 3, 32, 1920, 16, 24, 1080, 8)
            return
        if number == v4l2.ENUM_FRAMEINTERVALS and which == b"MJPG" and index < 2:
            struct.pack_into("3I", data, 16, 1, *((1, 15), (333333, 10000000))[index])
            return
        if number == v4l2.ENUM_FRAMEINTERVALS and which == b"YUYV" and index == 0:
            assert struct.unpack_from("II", data, 8) == (1920, 1080)
            struct.pack_into("7I", data, 16, 2, 1, 60, 1, 5, 1, 1)
            return
        raise OSError(errno.ENOTTY if which == b"GREY" else errno.EINVAL, "")

    mjpeg, yuyv, grey = node(kernel).formats()
    assert mjpeg.fourcc == "MJPG"
    assert mjpeg.sizes == (
        v4l2.Sizes((640, 480), (640, 480), rates=(30.0, 15.0)),
        v4l2.Sizes((1280, 960), (1280, 960), rates=(30.0, 15.0)),
    )
    assert yuyv.sizes == (v4l2.Sizes((32, 24), (1920, 1080), (16, 8), (60.0, 5.0)),)
    assert grey.sizes == ()


@pytest.mark.parametrize(("fps", "fraction"), [(30, (1, 30)), (12.5, (2, 25)), (29.97, (100, 2997))])
def test_a_rate_is_asked_for_as_a_fraction(
    node: Callable[[Kernel], v4l2.Node], fps: float, fraction: tuple[int, int]
) -> None:
    def kernel(number: int, data: bytearray) -> None:
        assert struct.unpack_from("II", data, 12) == fraction
        struct.pack_into("II", data, 12, 1, 15)

    assert node(kernel).set_rate(fps) == 15


def test_a_camera_without_rates_is_left_alone(node: Callable[[Kernel], v4l2.Node]) -> None:
    def kernel(number: int, data: bytearray) -> None:
        raise OSError(errno.ENOTTY, "")

    assert node(kernel).set_rate(30) == 0.0


def test_wake_ends_a_wait_and_close_is_final() -> None:
    node = v4l2.Node("/dev/null")
    node.wake()
    assert node.wait(60) is False
    node.close()
    node.close()
    node.wake()
