import io

import numpy as np
import pytest
from PIL import Image

from lotwise.core.errors import InvalidTile
from lotwise.core.quality import Fault, Quality, QualityVerdict
from lotwise.core.tile import InstrumentTags
from lotwise.runtime import tiles
from lotwise.runtime.inference import ServedModel
from lotwise.runtime.request import Request, Trace, set_request
from lotwise.runtime.settings import ServiceSettings
from lotwise.v1 import tile_pb2
from tests.core.headers import FEI
from tests.core.tiffs import made, with_header
from tests.runtime.networks import signature

GREY = np.random.default_rng(0).integers(0, 256, (20, 24), dtype=np.uint8)
SETTINGS = ServiceSettings()


def png(**options):
    buffer = io.BytesIO()
    Image.fromarray(GREY).save(buffer, "PNG", **options)
    return buffer.getvalue()


def raw(data, pixel_type, width=24, height=20):
    return tile_pb2.RawImage(data=data, width=width, height=height, pixel_type=pixel_type)


async def reason(tile, settings=SETTINGS):
    with pytest.raises(InvalidTile) as refused:
        await tiles.decode(tile, settings)
    return refused.value.reason


@pytest.mark.parametrize(
    "image",
    [
        raw(GREY.tobytes(), tile_pb2.PIXEL_TYPE_UINT8),
        raw((GREY.astype("<u2") * 257).tobytes(), tile_pb2.PIXEL_TYPE_UINT16),
        raw((GREY / 255).astype("<f4").tobytes(), tile_pb2.PIXEL_TYPE_FLOAT32),
    ],
    ids=["uint8", "uint16", "float32"],
)
async def test_raw_pixels_of_every_type_are_the_same_picture(image):
    decoded = await tiles.decode(tile_pb2.Tile(raw=image, um_per_px=0.5), SETTINGS)
    np.testing.assert_array_equal(decoded.grey, GREY)
    assert decoded.um_per_px == 0.5


async def test_raw_pixels_without_a_type_are_refused():
    for unstated in (tile_pb2.PIXEL_TYPE_UNSPECIFIED, 77):
        tile = tile_pb2.Tile(raw=raw(GREY.tobytes(), unstated))
        assert await reason(tile) == "TILE_UNSUPPORTED_FORMAT"


async def test_a_tile_without_content_is_empty():
    assert await reason(tile_pb2.Tile(tile_id="a")) == "TILE_EMPTY"
    assert await reason(tile_pb2.Tile(file=b"")) == "TILE_EMPTY"
    assert await reason(tile_pb2.Tile(raw=raw(b"", tile_pb2.PIXEL_TYPE_UINT8))) == "TILE_EMPTY"


async def test_the_stated_scale_goes_before_the_files():
    file = png(dpi=(25_400, 25_400))
    assert (await tiles.decode(tile_pb2.Tile(file=file), SETTINGS)).um_per_px == pytest.approx(1.0)
    stated = await tiles.decode(tile_pb2.Tile(file=file, um_per_px=0.25), SETTINGS)
    assert stated.um_per_px == 0.25


async def test_a_stated_scale_of_zero_is_not_taken_for_an_absent_one():
    tile = tile_pb2.Tile(file=png(dpi=(25_400, 25_400)), um_per_px=0.0)
    assert (await tiles.decode(tile, SETTINGS)).um_per_px == 0.0


async def test_without_any_scale_it_is_unknown():
    decoded = await tiles.decode(tile_pb2.Tile(file=png()), SETTINGS)
    assert decoded.um_per_px is None
    reading = tiles.reading_message(decoded)
    assert reading == tile_pb2.Reading(instrument=tile_pb2.Instrument())


async def test_the_reading_says_which_scale_was_used_and_whose_word_it_is():
    file = png(dpi=(25_400, 25_400))
    for tile, um_per_px, source in (
        (tile_pb2.Tile(file=file), 1.0, tile_pb2.SCALE_SOURCE_FILE),
        (tile_pb2.Tile(file=file, um_per_px=0.25), 0.25, tile_pb2.SCALE_SOURCE_STATED),
        (tile_pb2.Tile(file=png(), um_per_px=0.25), 0.25, tile_pb2.SCALE_SOURCE_STATED),
    ):
        reading = tiles.reading_message(await tiles.decode(tile, SETTINGS))
        assert reading.um_per_px == pytest.approx(um_per_px)
        assert reading.scale_source == source
        assert reading.data_bar_px == 0
        assert not reading.grey_levels_stretched


async def test_a_headers_scale_and_state_come_through_and_what_is_stated_goes_before():
    fields = np.tile(GREY, (4, 4))[:64, :80]
    file = with_header(np.vstack([fields, np.zeros_like(fields[:9])]), 34682, FEI)
    reading = tiles.reading_message(await tiles.decode(tile_pb2.Tile(file=file), SETTINGS))
    assert (reading.um_per_px, reading.data_bar_px) == (1.25, 9)
    assert reading.scale_source == tile_pb2.SCALE_SOURCE_FILE
    assert (reading.instrument.model, reading.instrument.detector) == ("Quanta FEG", "ETD")
    assert reading.instrument.beam_energy_kev == 20

    stated = tile_pb2.Instrument(detector="mine", beam_energy_kev=3.0)
    tile = tile_pb2.Tile(file=file, um_per_px=0.5, instrument=stated)
    reading = tiles.reading_message(await tiles.decode(tile, SETTINGS))
    assert (reading.um_per_px, reading.data_bar_px) == (0.5, 9)
    assert reading.scale_source == tile_pb2.SCALE_SOURCE_STATED
    assert (reading.instrument.model, reading.instrument.detector) == ("Quanta FEG", "mine")
    assert reading.instrument.beam_energy_kev == 3.0


async def test_levels_that_were_stretched_are_said():
    file = made(np.tile(GREY, (2, 2)).astype(np.int32))
    reading = tiles.reading_message(await tiles.decode(tile_pb2.Tile(file=file), SETTINGS))
    assert reading.grey_levels_stretched


def test_an_instrument_of_which_nothing_is_known_stays_empty():
    assert tiles.instrument_message(InstrumentTags()) == tile_pb2.Instrument()
    message = tiles.instrument_message(InstrumentTags(detector="SE", magnification=500.0))
    assert message == tile_pb2.Instrument(detector="SE", magnification=500.0)


async def test_the_limits_are_those_of_the_settings():
    tile = tile_pb2.Tile(file=png())
    pixels = tile_pb2.Tile(raw=raw(GREY.tobytes(), tile_pb2.PIXEL_TYPE_UINT8))
    small, few = ServiceSettings(max_tile_bytes=100), ServiceSettings(max_tile_pixels=100)
    assert [await reason(t, small) for t in (tile, pixels)] == ["TILE_TOO_LARGE"] * 2
    assert [await reason(t, few) for t in (tile, pixels)] == ["TILE_DECOMPRESSION_BOMB"] * 2


def test_every_verdict_and_fault_has_its_own_name_in_the_protocol():
    for verdict in QualityVerdict:
        for fault in Fault:
            message = tiles.quality_message(Quality(verdict, (fault,), 0.25, 0.5))
            said = tile_pb2.QualityVerdict.Name(message.verdict)
            assert said == f"QUALITY_VERDICT_{verdict.name}"
            assert tile_pb2.QualityFault.Name(message.faults[0]) == f"QUALITY_FAULT_{fault.name}"
            assert (message.black_share, message.saturated_share) == (0.25, 0.5)


async def test_provenance_names_the_request_and_every_model():
    set_request(Request(Trace("ab" * 16, "cd" * 8)))
    stated = tiles.provenance(
        "onnxruntime", ServedModel(signature("one"), "1"), ServedModel(signature("two"), "12")
    )
    assert (stated.engine, stated.request_id) == ("onnxruntime", "ab" * 16)
    assert [(model.name, model.version) for model in stated.models] == [("one", "1"), ("two", "12")]
    assert all(model.trained_on_simulated_lots for model in stated.models)
    assert all(model.weights_sha256 == "0" * 64 for model in stated.models)
