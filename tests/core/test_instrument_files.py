"""Headers of vendors, whole and broken: what they say is read, and never kills a good picture."""

import re

import numpy as np
import pytest

from lotwise.core.decoding import decode_file
from lotwise.core.instrument_files import jeol, merge, tescan
from lotwise.core.instrument_files.quantities import magnification, metres, quantity, volts
from lotwise.core.tile import InstrumentTags
from tests.core.headers import FEI, FEI_XML, FIBICS, JEOL, ORION, TAGGED, TESCAN, TESCAN_HDR, ZEISS
from tests.core.images import tiff
from tests.core.tiffs import made, with_header

GREY = np.random.default_rng(3).integers(0, 256, (64, 80), dtype=np.uint8)


def read(code, header, kind=2, **more):
    return decode_file(with_header(GREY, code, header, kind, **more))


def nm(tile):
    return None if tile.um_per_px is None else pytest.approx(tile.um_per_px * 1000, rel=1e-9)


@pytest.mark.parametrize("vendor", TAGGED)
def test_each_vendors_header_is_read(vendor):
    code, kind, header, (size_nm, make, model, detector, kev, mm, times) = TAGGED[vendor]
    tile = read(code, header, kind)
    assert size_nm == nm(tile)
    assert str(code) in tile.scale_source
    assert tile.instrument == InstrumentTags(
        make, model, detector, pytest.approx(kev), mm and pytest.approx(mm), times
    )
    np.testing.assert_array_equal(tile.grey, GREY)
    assert tile.data_bar_px == 0


def test_jeols_and_tescans_text_files_are_read():
    beside = jeol.read(JEOL)
    assert beside.um_per_px == pytest.approx(10 / 53)
    assert beside.instrument == InstrumentTags("JEOL", "JSM-7800F", "SEI", 10.0, 23.5, 500.0)
    beside = tescan.read(TESCAN_HDR, "TESCAN .hdr")
    assert beside.um_per_px == pytest.approx(0.0015625)
    assert beside.instrument.beam_energy_kev == 15.0
    assert jeol.read(b"a text about something else\n$HOME is not a key\n") is None
    assert tescan.read(b"[MAIN]\nTitle=none\n") is None


def test_the_tag_that_an_orion_copies_for_zeiss_software_does_not_go_before_its_own():
    numbers = b"0\r\n0\r\n0\r\n9.9E-10\r\n0\r\n6\r\n29997\r\n0.0\r\n0.9\r\n0\r\n0.0119\r\n0\r\n"
    tile = read(65000, ORION)
    both = decode_file(made(GREY, tags={34118: (2, numbers), 65000: (2, ORION)}))
    assert both.um_per_px == tile.um_per_px
    assert both.instrument == tile.instrument
    alone = read(34118, numbers)
    assert nm(alone) == 0.99
    assert alone.instrument.beam_energy_kev == 29.997


def test_numbers_of_a_zeiss_header_serve_where_names_are_missing():
    tile = read(34118, ZEISS[: ZEISS.index(b"DP_DETECTOR")])
    assert nm(tile) == 250
    assert tile.instrument.working_distance_mm == pytest.approx(9.934848)
    screen = ZEISS.replace(b"AP_IMAGE_PIXEL_SIZE", b"AP_OTHER").replace(b"2.500000e-007", b"-")
    assert nm(read(34118, screen)) == 999  # the size on the screen, where no other is stated


def test_an_ion_beams_picture_does_not_get_the_electron_columns_state():
    header = ZEISS + b"DP_FIB_IMAGING\r\nFIB Imaging = FIB\r\n"
    tile = read(34118, header)
    assert nm(tile) == 223.3
    assert tile.instrument.beam_energy_kev is None
    assert tile.instrument.working_distance_mm is None


@pytest.mark.parametrize(
    ("stated", "size_nm"),
    [
        (b"223,3 nm", 223.3),
        (b"223.3nm", 223.3),
        (b"0.2233 \xb5m", 223.3),
        ("0.2233 \u00b5m".encode(), 223.3),
        ("0.2233 \u03bcm".encode(), 223.3),
        (b"2.233e2 nm", 223.3),
        (b"1,000 nm", 250),  # one or a thousand? the header's first number tells
        (b"0.0 fm", 250),
        (b"-5 nm", 250),
        (b"nan nm", 250),
        (b"inf nm", 250),
        (b"1e999 nm", 250),
        (b"223.3 parsec", 250),
        (b"223.3", 250),
        (b"", 250),
        (b"1.2.3 nm", 250),
        (b"9" * 5000 + b" nm", 250),
    ],
)
def test_lengths_of_every_spelling(stated, size_nm):
    assert nm(read(34118, ZEISS.replace(b"223.3 nm", stated))) == size_nm


@pytest.mark.parametrize(
    "stated", [b"0", b"-1e-9", b"inf", b"nan", b"1e-30", b"1e9", b"", b"x", b"1e-6e-6", b"\xff"]
)
def test_what_cannot_be_a_pixel_is_unknown_and_nothing_takes_its_place(stated):
    header = FEI.replace(b"1.25e-006", stated)
    tile = read(34682, header)
    assert tile.um_per_px is None
    assert tile.scale_source == ""
    assert tile.instrument.detector == "ETD"
    other = TESCAN.replace(b"0.0000000015625", stated)
    assert read(50431, other, kind=1).um_per_px is None


def test_pixels_that_are_not_square_have_no_one_length():
    header = FEI.replace(b"PixelHeight=1.25e-006", b"PixelHeight=1.27e-006")
    inches = {282: (5, (254000, 1)), 283: (5, (254000, 1)), 296: (3, [2])}
    tile = decode_file(made(GREY, tags={34682: (2, header), **inches}))
    assert tile.um_per_px is None
    assert "not square" in tile.doubt
    nearly = FEI.replace(b"PixelHeight=1.25e-006", b"PixelHeight=1.26e-006")
    assert nm(read(34682, nearly)) == 1250


@pytest.mark.parametrize("vendor", ["fei", "fei xml", "zeiss", "orion", "fibics"])
def test_a_header_of_a_picture_of_another_width_gives_no_scale(vendor):
    code, kind, header, _ = TAGGED[vendor]
    resized = np.kron(GREY, np.ones((2, 2), np.uint8))
    tile = decode_file(with_header(resized, code, header, kind))
    assert tile.um_per_px is None
    assert "80 px wide" in tile.doubt
    assert tile.instrument.detector is not None


def test_a_digital_zoom_leaves_the_scale_unknown():
    tile = read(34682, FEI.replace(b"ZoomFactor=1.0", b"ZoomFactor=2.0"))
    assert tile.um_per_px is None
    assert "zoomed" in tile.doubt


def test_xml_fills_in_for_an_ini_text_without_a_scale():
    header = re.sub(rb"Pixel(Width|Height)=.*?\r\n", b"", FEI)
    assert nm(read(34682, header)) is None
    tile = decode_file(made(GREY, tags={34682: (2, header), 34683: (2, FEI_XML)}))
    assert nm(tile) == 25
    assert tile.instrument.model == "Quanta FEG"


def test_of_a_key_that_comes_twice_the_first_counts():
    header = FEI.replace(b"[EScan]\r\n", b"[EScan]\r\nPixelWidth=2e-6\r\nPixelHeight=2e-6\r\n")
    assert nm(read(34682, header)) == 2000
    assert read(50431, TESCAN + b"HV=99\nDetector=Other\n", 1).instrument.detector == "E-T"


def test_the_header_tells_how_many_rows_are_picture():
    bar = np.full((15, 80), 90, dtype=np.uint8)
    tile = read_rows(np.vstack([GREY, bar]), 34682, FEI)
    assert tile.data_bar_px == 15
    np.testing.assert_array_equal(tile.grey, GREY)
    tile = read_rows(np.vstack([GREY, bar]), 65000, ORION)
    assert tile.data_bar_px == 15
    strip = TESCAN.replace(b"ImageStripSize=0", b"ImageStripSize=15")
    tile = read_rows(np.vstack([GREY, bar]), 50431, strip, 1)
    assert tile.data_bar_px == 15
    np.testing.assert_array_equal(tile.grey, GREY)
    assert nm(tile) == 1.5625


@pytest.mark.parametrize("rows", [b"1", b"0", b"-3", b"20", b"1e30", b"x", b"999999"])
def test_a_header_cannot_crop_a_picture_away(rows):
    tile = read(34682, FEI.replace(b"ResolutionY=64", b"ResolutionY=" + rows))
    assert tile.data_bar_px == 0
    strip = TESCAN.replace(b"ImageStripSize=0", b"ImageStripSize=" + rows)
    assert read(50431, strip, 1).data_bar_px in (0, 1, 20)


def read_rows(pixels, code, header, kind=2):
    return decode_file(with_header(pixels, code, header, kind))


IMAGEJ = "ImageJ=1.53k\nimages=1\nunit={}\nloop=false\n"
OME = (
    '<?xml version="1.0"?><OME><Experimenter UserName="jqoperator"/><Image><Pixels '
    'SizeX="80" SizeY="64" PhysicalSizeX="{}" {} PhysicalSizeY="{}" {}/></Image></OME>'
)


def described(text, across=None, down=None, unit=None, raw=None):
    tags = {270: (2, text.encode() if raw is None else raw)}
    for code, value in ((282, across), (283, down)):
        if value is not None:
            tags[code] = (5, value)
    if unit is not None:
        tags[296] = (3, [unit])
    return decode_file(made(GREY, tags=tags))


@pytest.mark.parametrize(
    ("unit", "um"),
    [
        ("micron", 0.25),
        ("um", 0.25),
        ("\u00b5m", 0.25),
        ("\\u00B5m", 0.25),
        ("nm", 0.00025),
        ("mm", 250),
        ("pixel", None),
        ("", None),
        ("furlong", None),
        ("inch", None),
        ("cm", None),
    ],
)
def test_imagejs_unit_makes_a_scale_of_its_resolution(unit, um):
    tile = described(IMAGEJ.format(unit), (4, 1), (4, 1), 1)
    assert tile.um_per_px == (um if um is None else pytest.approx(um))
    assert described(IMAGEJ.format("micron"), (4, 1), (2, 1), 1).um_per_px is None
    assert described(IMAGEJ.format("micron"), (4, 0), (4, 0), 1).um_per_px is None
    assert described(IMAGEJ.format("micron")).um_per_px is None


def test_a_scale_of_one_counts_with_a_unit_only():
    assert described(IMAGEJ.format("micron"), (1, 1), (1, 1), 1).um_per_px == 1.0
    for unit in (None, 1):
        tags = {282: (5, (1, 1)), 283: (5, (1, 1)), **({296: (3, [1])} if unit else {})}
        assert decode_file(made(GREY, tags=tags)).um_per_px is None
    assert decode_file(tiff(GREY)).um_per_px is None


@pytest.mark.parametrize(
    ("size", "unit", "um"),
    [
        ("0.5", "", 0.5),
        ("500", "nm", 0.5),
        ("0.5", "\u00b5m", 0.5),
        ("0.5", "&#181;m", 0.5),
        ("0.5", "pixel", None),
        ("0", "", None),
        ("nan", "", None),
    ],
)
def test_ome_states_the_size_of_a_pixel(size, unit, um):
    units = [f'PhysicalSize{axis}Unit="{unit}"' if unit else "" for axis in "XY"]
    assert described(OME.format(size, units[0], size, units[1])).um_per_px == um
    skewed = described(OME.format("0.5", "", "0.6", ""))
    assert skewed.um_per_px is None
    assert "not square" in skewed.doubt


@pytest.mark.parametrize(
    ("ratio", "unit", "um"),
    [
        ((100_000, 1), 2, 0.254),
        ((100_000, 1), 3, 0.1),
        ((96, 1), 2, None),
        ((67, 1), 3, None),
        ((600, 1), 2, None),
        ((100_000, 1), 1, None),
        ((0, 1), 3, None),
        ((1, 0), 3, None),
        ((0, 0), 3, None),
    ],
)
def test_tiffs_own_resolution_counts_where_it_can_be_a_microscopes(ratio, unit, um):
    tile = described("", ratio, ratio, unit)
    assert tile.um_per_px == (um and pytest.approx(um))
    # Without the tag of the unit the standard's inch is nobody's statement.
    assert described("", (100_000, 1), (100_000, 1)).um_per_px is None


@pytest.mark.parametrize("vendor", TAGGED)
def test_a_broken_header_never_kills_the_picture(vendor):
    code, kind, header, _ = TAGGED[vendor]
    rng = np.random.default_rng(sum(vendor.encode()))
    broken = [header[:n] for n in rng.integers(0, len(header), 25)]
    broken += [header[n:] for n in rng.integers(0, len(header), 10)]
    for _ in range(40):
        octets = np.frombuffer(header, np.uint8).copy()
        octets[rng.integers(0, len(octets), 5)] = rng.integers(0, 256, 5)
        broken.append(octets.tobytes())
    broken += [b"", b"\0" * 500, rng.bytes(3000), b"<" * 3000, b"[" * 3000, b"=\n" * 3000]
    broken += [header.replace(b"\n", b""), header * 20, header.replace(b"0", b"9" * 50)]
    for each in broken:
        tile = read(code, each or b"\0", kind)
        assert tile.grey.shape[1] == 80
        assert len(tile.grey) + tile.data_bar_px == 64
        assert tile.um_per_px is None or 0 < tile.um_per_px < 1e5
        for name in (tile.instrument.model, tile.instrument.detector):
            assert name is None or (len(name) <= 64 and name.isprintable())


def test_a_header_of_another_type_or_beyond_the_file_says_nothing():
    for tags in (
        {34682: (3, [1, 2, 3])},
        {34118: (4, [7] * 40)},
        {65000: (5, (1, 2))},
        {51023: (2, b"\0")},
    ):
        tile = decode_file(made(GREY, tags=tags))
        assert tile.um_per_px is None
        assert tile.instrument == InstrumentTags()
    data = bytearray(with_header(GREY, 34682, FEI))
    entry = data.index((34682).to_bytes(2, "little") + b"\x02\x00")
    data[entry + 4 : entry + 8] = b"\xff\xff\xff\x7f"  # two gigabytes of text
    np.testing.assert_array_equal(decode_file(bytes(data)).grey, GREY)
    data[entry + 8 : entry + 12] = b"\xff\xff\xff\x7f"
    assert decode_file(bytes(data)).instrument == InstrumentTags()


def test_long_lines_are_not_searched_over_and_over():
    """A pattern that backtracks would take hours over these."""
    for text in (
        "ImageJ=1\nunit=" + " " * 10**6 + "x",
        "ImageJ=1\n" + "images=" * 10**5,
        "<OME " + "<Pixels " * 10**5,
        "<OME " + "<" + "a" * 10**6,
    ):
        assert described(text, (4, 1), (4, 1), 2).um_per_px is None
    for filling in (b" ", b"=", b"[", b"$", b"9", b"\n", b"$CM_ ", b"AP_A\n"):
        long = filling * (300_000 // len(filling))
        for code, kind, header, _ in TAGGED.values():
            assert read(code, header[:40] + long, kind).um_per_px is None
        assert jeol.read(JEOL + b"$CM_COMMENT" + long).um_per_px == pytest.approx(10 / 53)
        assert tescan.read(TESCAN_HDR + long, "").um_per_px == pytest.approx(0.0015625)


def test_xml_that_would_explode_says_nothing():
    laughs = b'<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'
    for code, header in ((65000, ORION), (51023, FIBICS), (34683, FEI_XML)):
        assert read(code, laughs + header).instrument == InstrumentTags()
    deep = b"<ImageTags>" * 50_000
    assert read(65000, deep).um_per_px is None


def test_quantities():
    assert quantity("= 1,234.5 V") == (1234.5, "V")
    assert quantity("0,123") == (0.123, "")
    assert quantity("10,000") is None
    assert quantity("") is None
    assert metres("1 M") is None
    assert metres("5 \u00c5") == pytest.approx(5e-10)
    assert metres("5 \ufffdm") == pytest.approx(5e-6)  # a micro sign that was lost on the way
    assert volts("10.00 kV") == 10_000
    assert volts("5 W") is None
    assert magnification("1.00 K X") == 1000
    assert magnification("500 X") == 500
    assert magnification("500 times") is None


def test_what_is_stated_goes_before_what_is_found_field_by_field():
    stated = InstrumentTags(detector="mine", beam_energy_kev=3.0)
    found = InstrumentTags(detector="theirs", working_distance_mm=4.0)
    assert merge(stated, found) == InstrumentTags(None, None, "mine", 3.0, 4.0, None)
