import pytest
import torch

from lotwise_training.models.attgan import Decoder, Discriminator, Encoder


@pytest.mark.parametrize("edge", [128, 256])
def test_the_generator_is_fully_convolutional(edge):
    encoder, decoder = Encoder(4).eval(), Decoder(4, 4).eval()
    tiles = torch.randint(0, 256, (2, 1, edge, edge), dtype=torch.uint8)
    latent, skip = encoder(tiles)
    assert latent.shape == (2, 64, edge // 32, edge // 32)
    assert skip.shape == (2, 32, edge // 16, edge // 16)
    drawn = decoder(latent, skip, torch.rand(2, 4))
    assert drawn.shape == tiles.shape
    assert drawn.dtype == torch.float32
    assert drawn.min() >= 0
    assert drawn.max() <= 255


def test_the_encoder_does_not_see_the_attributes_and_the_decoder_does():
    torch.manual_seed(0)
    encoder, decoder = Encoder(4).eval(), Decoder(4, 4).eval()
    code = encoder(torch.randint(0, 256, (1, 1, 128, 128), dtype=torch.uint8))
    low, high = (decoder(*code, torch.full((1, 4), value)) for value in (0.0, 1.0))
    assert not torch.equal(low, high)


def test_the_papers_generator_has_the_papers_size():
    generator = [*Encoder(64).parameters(), *Decoder(64, 4).parameters()]
    millions = sum(parameter.numel() for parameter in generator) / 1e6
    assert millions == pytest.approx(43.2, abs=0.1)


def test_the_discriminator_judges_every_tile_and_reads_its_attributes():
    judge = Discriminator(4, 4)
    tiles = torch.rand(3, 1, 128, 128) * 255
    assert judge.attributes(tiles).shape == (3, 4)
    assert judge.score(tiles).shape[0] == 3


def test_folded_judges_see_more_of_a_tile_and_as_many_patches_of_a_larger_one():
    tiles = torch.rand(2, 1, 128, 128) * 255
    folded, plain = Discriminator(4, 4, unshuffle=2), Discriminator(4, 4)
    assert folded.attributes(tiles).shape == (2, 4)
    assert folded.score(tiles).shape == plain.score(tiles[..., :64, :64]).shape
