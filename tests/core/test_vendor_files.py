"""Files of real microscopes, which lie beside the product: read right, or refused with a reason."""

import numpy as np
import pytest

from lotwise.core.decoding import decode_file
from lotwise.core.errors import InvalidTile
from lotwise.core.inspection import inspect_file
from lotwise.core.quality import QualityVerdict, assess_quality
from tests.core.tiffs import shared

FOLDER = "vendor_files"
FEI, FIBSEM = "nexuslims_MIT/fei/", "fibsem_MIT/"
ORION, TESCAN = "nexuslims_MIT/zeiss_orion/", "nexuslims_MIT/tescan/"
# nm, source, rows of data bar, model, detector, kV, mm, magnification
EXPECTED = {
    FIBSEM + "detection_test_image_2.tif": (
        (97.6562, "FEI/Thermo tag 34682", 0),
        ("Helios G4 PFIB UNSPE", "ETD", 30, 16.5, None),
    ),
    FEI + "quanta-fei_2_dataZeroed.tif": (
        (3.33333, "FEI/Thermo tag 34682", 59),
        ("Quanta FEG", "ETD", 5, 10.611, 75_000.1),
    ),
    FEI + "quanta_image.tif": (
        (441.942, "FEI/Thermo tag 34682", 59),
        ("Quanta FEG", "LFD", 30, 11.051, 282.843),
    ),
    FEI + "scios_multigis_metadata_sections.tif": (
        (3.3724, "FEI/Thermo tag 34682", 140),
        ("Scios 2", "CBS", 5, 6.85358, 20_000),
    ),
    FEI + "scios_xml_metadata.tif": (
        (26.9792, "FEI/Thermo tag 34682", 0),
        ("Scios 2", "CBS", 5, 6.98462, None),
    ),
    "matchmaker_MIT/zeiss/Zeiss_0.5k_2_high.tif": (
        (223.3, "Zeiss tag 34118", 77),
        ("Ultra 55", "BSD", 10, 9.9, 500),
    ),
    TESCAN + "tescan-pfib_dataZeroed.tif": (
        (1.5625, "TESCAN .hdr", 298),
        ("AMBER X", "E-T", 15, 5.947501, 160_000),
    ),
    ORION + "orion-fibics_dataZeroed.tif": (
        (1.220703125, "Zeiss Orion (Fibics) tag 51023", 0),
        ("Orion", "ET", 30, None, None),
    ),
    ORION + "orion-zeiss_dataZeroed.tif": (
        (0.9765625, "Zeiss Orion tag 65000", 96),
        ("Orion", "ETDetector", 29.997, 11.977, None),
    ),
    "matchmaker_MIT/jeol/JEOL_Exp_Reference_6005_T6_05.bmp": (
        (188.679245, "JEOL .txt", 60),
        ("JAMP 9500F -- 9500", "SEI", 10, 23.5, 500),
    ),
}
SCALELESS = {
    FIBSEM + "detection_test_image.tif": False,
    FIBSEM + "segmentation_docs_raw_image.tif": False,
    FIBSEM + "segmentation_test_image.tif": False,
    FEI + "quanta_image_32bit.tif": True,
}
REFUSED = {
    # Two of its fifteen tags are whole: the picture's height is gone with the rest.
    FEI + "quanta_bad_metadata.tif": "TILE_TRUNCATED",
    FEI + "quanta_just_modded_mdata.tif": "TILE_UNSUPPORTED_FORMAT",
    FEI + "quanta_no_beam_scan_or_system_meta.tif": "TILE_TRUNCATED",
}


@pytest.mark.parametrize("name", EXPECTED)
def test_scale_bar_and_state_are_those_of_the_instrument(name):
    (nm, source, bar_px), (model, detector, kev, mm, times) = EXPECTED[name]
    found = inspect_file(shared(FOLDER) / name)
    assert found.um_per_px == pytest.approx(nm / 1000, rel=1e-6)
    assert found.scale_source == source
    assert found.data_bar_px == bar_px
    assert not found.stretched
    assert found.doubts == ()
    tags = found.instrument
    assert (tags.model, tags.detector) == (model, detector)
    assert tags.manufacturer is not None
    assert tags.beam_energy_kev == pytest.approx(kev)
    assert tags.working_distance_mm == (mm and pytest.approx(mm))
    assert tags.magnification == (times and pytest.approx(times, rel=1e-5))


def test_tescans_tag_says_what_its_sidecar_says():
    tile = decode_file((shared(FOLDER) / TESCAN / "tescan-pfib_dataZeroed.tif").read_bytes())
    assert tile.um_per_px == pytest.approx(0.0015625)
    assert tile.scale_source == "TESCAN tag 50431"
    assert tile.instrument.detector == "E-T"
    assert tile.grey.shape == (1280, 1280)


@pytest.mark.parametrize("name", SCALELESS)
def test_files_that_state_no_scale_are_read_without_one(name):
    found = inspect_file(shared(FOLDER) / name)
    assert (found.um_per_px, found.scale_source) == (None, None)
    assert found.stretched == SCALELESS[name]
    tile = decode_file((shared(FOLDER) / name).read_bytes())
    assert tile.data_bar_px == 0
    assert assess_quality(tile.grey).verdict is not QualityVerdict.POOR


@pytest.mark.parametrize("name", REFUSED)
def test_files_without_a_whole_picture_are_refused(name):
    with pytest.raises(InvalidTile) as refused:
        inspect_file(shared(FOLDER) / name)
    assert refused.value.reason == REFUSED[name]


def test_no_text_is_left_below_a_real_picture():
    for name in (FEI + "quanta_image.tif", *(n for n in EXPECTED if "matchmaker" in n)):
        tile = decode_file((shared(FOLDER) / name).read_bytes())
        above, last = tile.grey[-40:-10].astype(float), tile.grey[-10:].astype(float)
        assert abs(last.mean() - above.mean()) < 15
        assert np.abs(np.diff(last, axis=1)).mean() < 12
