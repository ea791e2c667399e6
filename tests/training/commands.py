"""The commands of `lotwise-train`, run in this process, and a recipe for regressors."""

import numpy as np
from typer.testing import CliRunner

from lotwise_training.cli.app import app
from tests.support.lot_folders import lots_csv, write

LOTS = ("dark", "middle", "bright")

TINY_NETWORK = """[network]
depth = 10
widen = 1
steps = 5
batch_size = 8
optimiser = "adam"
learning_rate = 5e-3
schedule = "one-cycle"
warmup_share = 0.2
halve_every = 100
weight_decay = 5e-4
crops = [[0.0, 16], [0.6, 64]]
head_tiles = 20
outliers = 0
outlier_batch_size = 0
outlier_weight = 0
validations = 1
validation_tiles = 10
patience = 1
checkpoint_every = 100
seed = 0
"""
"""Of a tile classifier's recipe."""

REGRESSOR = """
parallel = 1
tiles = 100
field_um = 256.0
[network]
depth = 10
widen = 1
steps = 10
batch_size = 8
optimiser = "adam"
learning_rate = 5e-3
schedule = "one-cycle"
warmup_share = 0.2
halve_every = 100
weight_decay = 0
crops = [[0.0, 64]]
head_tiles = 20
validations = 1
validation_tiles = 10
patience = 1
checkpoint_every = 100
seed = 0
pool = 4
unshuffle = 2
logarithmic = true
score_weight = 1.0
gain_range = 0
offset_range = 0
max_noise_sigma = 0
max_blur_sigma_px = 0
[comparison]
region_blocked_steps = 5
folds = 2
folds_steps = 5
[data]
tiles = 1
further_lots = 0
further_tiles = 1
[intervals]
coverage = 0.9
lot_tiles = 6
"""


def said(*arguments):
    """What a command says and its exit code."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def write_recipes(folder, **recipes):
    """A folder of recipes of the profile "tiny", by model."""
    (folder / "tiny").mkdir(parents=True)
    for model, recipe in recipes.items():
        (folder / "tiny" / f"{model}.toml").write_text(recipe)
    return folder


def write_grey_lots(folder):
    """Three lots of ten pictures of 1,024 um, each of 16 tiles."""
    rows = [f"{lot},{lot},iron,{n / 2}" for n, lot in enumerate(LOTS)]
    lots_csv(folder, "\n".join(["lot_id,recipe,origin,size", *rows]) + "\n")
    rng = np.random.default_rng(0)
    for n, lot in enumerate(LOTS):
        for picture in range(10):
            grey = rng.normal(50 + 70 * n, 10, (256, 256)).clip(0, 255).astype(np.uint8)
            write(folder / lot / f"{picture}.png", grey, um_per_px=4.0)
    return folder
