"""The networks: their size, and the scaling that is inside the served modules."""

import math

import pytest
import torch

from lotwise_training.models.wide_resnet import (
    TileClassifier,
    TileRegressor,
    WideResNet,
    channel_statistics,
    normalise_intensity,
    target_scaling,
)


@pytest.fixture(autouse=True)
def _same_weights_every_time():
    torch.manual_seed(0)


@pytest.mark.parametrize(
    ("depth", "widen", "outputs", "parameters"), [(16, 2, 30, 693_966), (28, 1, 1, 368_625)]
)
def test_networks_have_the_papers_size(depth, widen, outputs, parameters):
    learned = WideResNet(depth, widen, outputs).parameters()
    assert sum(each.numel() for each in learned) == parameters


def test_network_takes_pictures_of_any_size_and_quarters_them_twice():
    network = WideResNet(10, 1, 3).eval()
    assert network(torch.zeros(2, 1, 64, 64)).shape == (2, 3)
    assert network(torch.zeros(2, 1, 32, 48)).shape == (2, 3)
    assert network.blocks(network.stem(torch.zeros(1, 1, 64, 64))).shape == (1, 64, 16, 16)


@pytest.mark.parametrize("arguments", [(17, 2, 10), (4, 2, 10), (16, 0, 10), (16, 2, 0)])
def test_impossible_networks_are_refused(arguments):
    with pytest.raises(ValueError, match="must be"):
        WideResNet(*arguments)


def test_classifier_scales_grey_levels_into_the_unit_range():
    classifier = TileClassifier(WideResNet(10, 1, 3)).eval()
    tiles = torch.randint(0, 256, (2, 1, 64, 64), dtype=torch.uint8)
    wanted = classifier.network(tiles.float() / 255.0)
    torch.testing.assert_close(classifier.logits(tiles), wanted)
    torch.testing.assert_close(classifier.logits(tiles.float()), wanted)


def test_classifier_sees_gain_because_the_paper_has_no_normalisation():
    classifier = TileClassifier(WideResNet(10, 1, 3)).eval()
    tiles = torch.randint(0, 200, (2, 1, 64, 64)).float()
    assert (classifier.logits(tiles) - classifier.logits(0.7 * tiles)).abs().max() > 1e-3


@pytest.mark.parametrize(("depth", "widen"), [(10, 1), (16, 2)])
def test_classifier_gives_logits_and_the_features_of_both_ends(depth, widen):
    classifier = TileClassifier(WideResNet(depth, widen, 3)).eval()
    network = classifier.network
    tiles = torch.randint(0, 256, (2, 1, 64, 64), dtype=torch.uint8)
    logits, features, early = classifier(tiles)
    x = tiles.float() / 255.0
    torch.testing.assert_close(logits, classifier.logits(tiles))
    torch.testing.assert_close(features, network.features(x))
    # The first group: as many blocks as have not halved the picture.
    group = network.stem(x)
    for block in network.blocks:
        if block.conv1.stride != (1, 1):
            break
        group = block(group)
    assert group.shape == (2, 16 * widen, 64, 64)
    torch.testing.assert_close(early[:, : 16 * widen], group.mean(dim=(2, 3)))
    deviation = group.std(dim=(2, 3), correction=0)
    torch.testing.assert_close(early[:, 16 * widen :], deviation)
    assert [tensor.shape[1] for tensor in (logits, features, early)] == [3, 64 * widen, 32 * widen]


def test_deviations_keep_their_digits_beside_a_large_mean():
    pattern = torch.tensor([-1.0, 1.0]).repeat(2048).reshape(1, 1, 64, 64)
    mean, deviation = channel_statistics(pattern * 0.01 + 1000.0)[0]
    assert mean == pytest.approx(1000.0)
    assert deviation == pytest.approx(0.01, rel=0.01)


def test_statistics_of_a_blank_channel_have_a_finite_gradient():
    blank = torch.full((1, 2, 8, 8), 0.5, requires_grad=True)
    statistics = channel_statistics(blank)
    torch.testing.assert_close(statistics, torch.tensor([[0.5, 0.5, 0.0, 0.0]]), atol=1e-5, rtol=0)
    statistics.sum().backward()
    assert blank.grad is not None
    assert torch.isfinite(blank.grad).all()


def test_early_features_see_a_change_of_the_instrument():
    classifier = TileClassifier(WideResNet(10, 1, 3)).eval()
    tiles = torch.randint(50, 200, (2, 1, 64, 64)).float()
    early = classifier(tiles)[2]
    brighter, flatter = classifier(tiles + 30)[2], classifier(0.7 * tiles + 40)[2]
    assert (early - brighter).abs().max() > 1e-2
    assert (early - flatter)[:, 16:].abs().max() > 1e-2


def test_regressor_answers_in_units_within_the_learned_range():
    regressor = TileRegressor(WideResNet(10, 1, 1), *target_scaling(1000.0, 2000.0)).eval()
    answer = regressor(torch.randint(0, 256, (3, 1, 64, 64), dtype=torch.uint8))
    assert answer.shape == (3, 1)
    assert answer.dtype == torch.float32
    assert ((answer > 1500.0 - 556.0) & (answer < 1500.0 + 556.0)).all()


@pytest.mark.parametrize("pool", [1, 2])
def test_regressor_cannot_tell_gain_and_offset(pool):
    regressor = TileRegressor(WideResNet(10, 1, 1), 1500.0, 500.0, pool=pool).eval()
    tiles = torch.randint(20, 150, (2, 1, 64, 64)).float()
    torch.testing.assert_close(regressor(tiles), regressor(1.5 * tiles + 20.0), rtol=1e-3, atol=0.1)


def test_regressor_reads_whole_and_broken_grey_levels_alike():
    regressor = TileRegressor(WideResNet(10, 1, 1), 1500.0, 500.0, pool=2).eval()
    tiles = torch.randint(0, 256, (2, 1, 64, 64), dtype=torch.uint8)
    torch.testing.assert_close(regressor(tiles), regressor(tiles.float()))


def test_folding_keeps_every_pixel_as_a_channel():
    regressor = TileRegressor(WideResNet(10, 1, 1, 4), 1500.0, 500.0, unshuffle=2)
    image = torch.rand(2, 1, 64, 64) * 255.0
    seen = regressor.network_input(image)
    assert seen.shape == (2, 4, 32, 32)
    unfolded = TileRegressor(WideResNet(10, 1, 1), 1500.0, 500.0).network_input(image)
    torch.testing.assert_close(torch.nn.functional.pixel_shuffle(seen, 2), unfolded)


def test_a_logarithmic_answer_lies_between_the_logarithms_ends():
    centre, scale = target_scaling(500.0, 2000.0, logarithmic=True)
    regressor = TileRegressor(WideResNet(10, 1, 3), centre, scale, logarithmic=True).eval()
    with torch.no_grad():
        regressor.network.head.weight.zero_()
        regressor.network.head.bias.fill_(math.atanh(0.9))
        top = regressor(torch.zeros(1, 1, 32, 32))
        regressor.network.head.bias.zero_()
        middle = regressor(torch.zeros(1, 1, 32, 32))
    assert top.shape == (1, 1)  # of three outputs one is served
    assert top.item() == pytest.approx(2000.0, rel=1e-4)
    assert middle.item() == pytest.approx(1000.0, rel=1e-4)
    with pytest.raises(ValueError, match="span no range"):
        target_scaling(0.0, 10.0, logarithmic=True)


def test_pooling_quarters_what_the_network_sees():
    regressor = TileRegressor(WideResNet(10, 1, 1), 1500.0, 500.0, pool=2)
    assert regressor.network_input(torch.zeros(1, 1, 64, 64)).shape == (1, 1, 32, 32)


def test_a_blank_tile_has_a_finite_gradient():
    blank = torch.full((1, 1, 8, 8), 90.0, requires_grad=True)
    normalise_intensity(blank).square().sum().backward()
    assert blank.grad is not None
    assert torch.isfinite(blank.grad).all()


def test_targets_lie_where_tanh_is_not_flat():
    centre, scale = target_scaling(1000.0, 2000.0)
    assert (2000.0 - centre) / scale == pytest.approx(0.9)
    assert (1000.0 - centre) / scale == pytest.approx(-0.9)
    with pytest.raises(ValueError, match="no range"):
        target_scaling(1000.0, 1000.0)


def test_unit_and_scale_are_saved_with_the_weights():
    state = TileRegressor(WideResNet(10, 1, 1), 1500.0, 500.0).state_dict()
    assert state["target_centre"] == 1500.0
    assert state["target_scale"] == 500.0
