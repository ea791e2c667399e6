"""Both kinds of editor: what they promise by their build, before any training."""

import pytest
import torch

from lotwise_training.models.editors import NETWORKS, AttGan, DifferenceEditor
from lotwise_training.models.resample import zoomed

TILES = torch.randint(0, 256, (2, 1, 128, 128), generator=torch.Generator().manual_seed(0)).to(
    torch.uint8
)
OWN = torch.tensor([[0.2, 0.4, 0.6, 0.8], [0.5, 0.5, 0.5, 0.5]])
WANTED = torch.tensor([[0.2, 0.9, 0.6, 0.8], [0.1, 0.5, 0.5, 0.5]])


@pytest.fixture(params=list(NETWORKS))
def network(request):
    torch.manual_seed(0)
    return NETWORKS[request.param](4, 4).eval()


@torch.no_grad()
def edited(network, own, wanted):
    return network.decode(*network.encode(TILES, own), wanted)


def test_an_edit_has_the_shape_and_the_range_of_the_tile(network):
    drawn = edited(network, OWN, WANTED)
    assert drawn.shape == TILES.shape
    assert drawn.dtype == torch.float32
    assert 0 <= drawn.min() <= drawn.max() <= 255


def test_in_use_both_steps_draw_what_a_training_step_draws(network):
    with torch.no_grad():
        redrawn, changed = network.redraw_and_edit(TILES.float(), OWN, WANTED)
        alone, none = network.redraw_and_edit(TILES.float(), OWN, None)
    torch.testing.assert_close(changed, edited(network, OWN, WANTED), atol=1e-3, rtol=0)
    torch.testing.assert_close(redrawn, alone, atol=1e-3, rtol=0)
    assert len(none) == 0


def test_a_difference_of_nothing_is_the_tile_itself():
    torch.manual_seed(0)
    drawn = edited(DifferenceEditor(4, 4).eval(), OWN, OWN)
    torch.testing.assert_close(drawn, TILES.float(), atol=1e-3, rtol=0)


def test_a_difference_editor_is_told_the_change_alone():
    torch.manual_seed(0)
    network = DifferenceEditor(4, 4).eval()
    once = edited(network, OWN, WANTED)
    elsewhere = edited(network, OWN - 0.1, WANTED - 0.1)
    torch.testing.assert_close(once, elsewhere, atol=1e-3, rtol=0)


def test_attgans_code_does_not_depend_on_the_lots_attributes():
    torch.manual_seed(0)
    network = AttGan(4, 4).eval()
    with torch.no_grad():
        code, other = network.encode(TILES, OWN), network.encode(TILES)
    assert all(torch.equal(a, b) for a, b in zip(code, other, strict=True))


def test_a_difference_needs_the_lots_attributes():
    with pytest.raises(ValueError, match="own attributes"):
        DifferenceEditor(4, 4).encode(TILES)


def test_zooms_that_were_measured_are_kept():
    torch.manual_seed(0)
    network = DifferenceEditor(4, 4).eval()
    torch.nn.init.zeros_(network.pictures[-1].weight)  # nothing but the zoom
    network.take_zoom(torch.tensor([2.0, 0.0, 0.0, 0.0]))
    drawn = edited(network, OWN, OWN + torch.tensor([0.1, 0.3, 0.0, 0.0]))
    expected = zoomed(TILES.float(), torch.full((2,), 0.2)).clamp(0.0, 255.0)
    torch.testing.assert_close(drawn, expected, atol=1e-2, rtol=0)
