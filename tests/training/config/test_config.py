"""Recipes: what is shipped can be followed, and a slip of the pen is refused by name."""

import re

import pytest

from lotwise_training.config.load import BASE, RECIPES, RecipeError, load_recipe
from lotwise_training.config.schema import (
    CommitteeRecipe,
    EditorRecipe,
    IntervalRecipe,
    PlanRecipe,
    PolicyRecipe,
    RegressorRecipe,
)

KINDS = {
    "committee": CommitteeRecipe,
    "regressor": RegressorRecipe,
    "editor": EditorRecipe,
    "plan": PlanRecipe,
}
COMMITTEE = (RECIPES / BASE / "committee.toml").read_text()
PLAN = (RECIPES / BASE / "plan.toml").read_text()

POLICY = """
kind = "coverage"
target = 0.85
min_familiarity = 0.05
max_referred_share = 0.2
confidence = 0.95
"""


@pytest.fixture
def written(tmp_path):
    """Writes a recipe and gives its folder, profile and name."""

    def write(text, name="policy"):
        path = tmp_path / "cpu" / f"{name}.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return tmp_path, "cpu", name

    return write


def changed(text, key, value):
    """A recipe with another value of its first key of that name."""
    new, found = re.subn(rf"^{key} = .*$", f"{key} = {value}", text, count=1, flags=re.M)
    assert found
    return new


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("profile", ["cpu", "gpu", "paper"])
def test_shipped_recipes_load(name, profile):
    assert isinstance(load_recipe(KINDS[name], RECIPES, profile, name), KINDS[name])


def test_every_recipe_lies_in_the_folder_of_a_profile():
    folders = {str(path.parent.relative_to(RECIPES)) for path in RECIPES.rglob("*.toml")}
    assert folders == {"base", "cpu", "gpu", "paper"}


@pytest.mark.parametrize("name", KINDS)
def test_the_base_gives_a_reason_beside_or_above_every_hyper_parameter(name):
    lines = (RECIPES / BASE / f"{name}.toml").read_text().splitlines()
    bare = [
        line
        for above, line in zip(["", *lines], lines, strict=False)
        if "=" in line.split("#")[0] and "#" not in line and not above.startswith("#")
    ]
    # What the line above explains too, or what explains itself.
    explained_together = {"depth", "widen", "seed"}
    if name == "plan":
        explained_together |= {"learning_rate", "schedule", "warmup_share", "outlier_batch_size"}
        explained_together |= {"outlier_weight"}
    assert [line for line in bare if line.split()[0] not in explained_together] == []


def test_the_paper_profile_holds_the_papers_committee():
    recipe = load_recipe(CommitteeRecipe, RECIPES, "paper", "committee")
    network = recipe.network
    assert (recipe.members, recipe.dropout_passes, recipe.dropout) == (16, 16, 0.3)
    assert (recipe.split, network.depth, network.widen) == ("tile-random", 16, 2)
    assert (network.learning_rate, network.weight_decay, network.batch_size) == (1e-3, 5e-4, 64)
    assert network.schedule == "halving"
    # 200 epochs of 47,750 tiles, halved every 50.
    assert (network.steps, network.halve_every) == (149_219, 37_305)
    assert network.crops == ((0.0, 64),)


def test_the_paper_profile_holds_the_papers_editor():
    network = load_recipe(EditorRecipe, RECIPES, "paper", "editor").attgan
    assert (network.dim, network.discriminator_dim, network.crop_px) == (64, 64, 256)
    assert (network.learning_rate, network.batch_size) == (2e-4, 32)


def test_whole_numbers_stand_for_floats_but_nothing_else_is_coerced(written):
    with pytest.raises(RecipeError, match="confidence: input should be less than 1"):
        load_recipe(PolicyRecipe, *written(changed(POLICY, "confidence", 1)))
    with pytest.raises(RecipeError, match="confidence: input should be a valid number, not '0.95'"):
        load_recipe(PolicyRecipe, *written(changed(POLICY, "confidence", '"0.95"')))
    with pytest.raises(RecipeError, match=r"members: input should be a valid integer.*, not 4\.0"):
        load_recipe(CommitteeRecipe, *written(changed(COMMITTEE, "members", 4.0)))
    with pytest.raises(RecipeError, match="members: input should be a valid integer, not True"):
        load_recipe(CommitteeRecipe, *written(changed(COMMITTEE, "members", "true")))


def test_an_unknown_key_is_named_with_its_file(written):
    with pytest.raises(RecipeError, match=r"^cpu/policy.toml: unknown key 'tarrget'"):
        load_recipe(PolicyRecipe, *written(POLICY + "tarrget = 0.9\n"))


def test_a_missing_key_is_named(written):
    with pytest.raises(RecipeError, match="missing key 'max_referred_share'"):
        load_recipe(PolicyRecipe, *written(POLICY.replace("max_referred_share = 0.2", "")))


def test_keys_of_a_table_are_named_with_the_table(written):
    text = COMMITTEE.replace("[network]", "[network]\nepoch = 3")
    with pytest.raises(RecipeError, match=r"policy.toml: network: unknown key 'epoch'"):
        load_recipe(CommitteeRecipe, *written(text))
    text = COMMITTEE.replace("[calibration]", "[calibrated]")
    with pytest.raises(RecipeError, match="missing key 'calibration'|unknown key 'calibrated'"):
        load_recipe(CommitteeRecipe, *written(text))
    text = "policy = 3\n" + re.sub(r"\[policy\].*?(?=\[calibration\])", "", COMMITTEE, flags=re.S)
    with pytest.raises(RecipeError, match="policy: input should be"):
        load_recipe(CommitteeRecipe, *written(text))


def test_a_file_that_cannot_be_read_is_named(written, tmp_path):
    (tmp_path / "cpu").mkdir()
    with pytest.raises(RecipeError, match=r"absent\.toml"):
        load_recipe(PolicyRecipe, tmp_path, "cpu", "absent")
    with pytest.raises(RecipeError, match=r"policy\.toml: .*line 1"):
        load_recipe(PolicyRecipe, *written("target_coverage 0.95"))


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("crops", "[]", "crops must start at 0"),
        ("crops", "[[0.5, 32]]", "crops must start at 0"),
        ("crops", "[[0.0, 32], [0.0, 64]]", "crops must start at 0"),
        ("crops", "[[0.0, 32], [1.0, 64]]", "crops: input should be less than 1"),
        ("crops", "[[0.0, 0]]", "crops: input should be greater than 0"),
        ("crops", "[[0.0]]", "crops: field required|crops: .*missing|missing key"),
        ("crops", "32", "crops: input should be a valid (tuple|array)"),
        ("members", 0, "members: input should be greater than 0"),
        ("dropout", 1.0, "dropout: input should be less than 1"),
        (
            "split",
            '"random"',
            "split: input should be 'tile-random', 'region-blocked' or 'lot-held-out'",
        ),
        (
            "schedule",
            '"cosine"',
            "schedule: input should be 'halving' or 'one-cycle', not 'cosine'",
        ),
        ("steps", 0, "steps: input should be greater than 0"),
        ("patience", 0, "patience: input should be greater than 0"),
        ("warmup_share", 0, "warmup_share: input should be greater than 0"),
        ("outliers", 0, "must both be positive, or both be 0"),
        ("outlier_batch_size", 0, "must both be positive, or both be 0"),
        ("outlier_weight", -0.5, "outlier_weight: input should be greater than or equal to 0"),
        ("head_tiles", -1, "head_tiles: input should be greater than or equal to 0"),
        ("other_splits_steps", 0, "other_splits_steps: input should be greater than 0"),
        ("kind", '"hope"', "kind: input should be"),
        ("target", 0.96, "cannot be reached"),
        ("max_referred_share", 0.1, "refers every lot"),
        ("fresh_tiles", 0, "fresh_tiles: input should be greater than 0"),
    ],
)
def test_values_that_make_no_training_are_refused(written, key, value, said):
    where = written(changed(COMMITTEE, key, value), "committee")
    with pytest.raises(RecipeError, match=f"^cpu/committee.toml.*{said}"):
        load_recipe(CommitteeRecipe, *where)


def test_a_recipe_without_outliers_can_be_followed(written):
    text = changed(changed(COMMITTEE, "outliers", 0), "outlier_batch_size", 0)
    assert load_recipe(CommitteeRecipe, *written(text)).network.outliers == 0


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("shares", "[0.5, 0.25, 1.0]", "shares must rise"),
        ("shares", "[0.5, 1.0]", "shares: .* at least 3 items"),
        ("shares", "[0.0, 0.5, 1.0]", "shares: input should be greater than 0"),
        ("shares", "[0.1, 0.5, 1.5]", "shares: input should be less than or equal to 1"),
        ("members", 0, "members: input should be greater than 0"),
        ("resamples", 0, "resamples: input should be greater than 0"),
        ("split", '"random"', "split: input should be"),
    ],
)
def test_values_that_make_no_learning_curve_are_refused(written, key, value, said):
    where = written(changed(PLAN, key, value), "plan")
    with pytest.raises(RecipeError, match=f"^cpu/plan.toml.*{said}"):
        load_recipe(PlanRecipe, *where)


def test_an_unknown_optimiser_is_refused(written):
    with pytest.raises(
        RecipeError, match="optimiser: input should be 'adam' or 'sgd', not 'adamw'"
    ):
        load_recipe(CommitteeRecipe, *written(COMMITTEE.replace('"sgd"', '"adamw"'), "committee"))


@pytest.mark.parametrize("coverage", [0.4, 1.0])
def test_a_default_coverage_that_no_interval_can_have_is_refused(coverage, written):
    with pytest.raises(RecipeError, match=f"coverage: input should be .* not {coverage}"):
        load_recipe(IntervalRecipe, *written(f"coverage = {coverage}\nlot_tiles = 10\n"))


@pytest.fixture
def layered(tmp_path):
    """A folder of recipes with a base and an overlay that states less."""
    for folder, text in ((BASE, POLICY), ("gpu", "target = 0.9\n")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "policy.toml").write_text(text)
    (tmp_path / "cpu").mkdir()
    return tmp_path


def test_a_profile_overrides_the_base_and_the_command_line_both(layered):
    assert load_recipe(PolicyRecipe, layered, "cpu", "policy").target == 0.85
    recipe = load_recipe(PolicyRecipe, layered, "gpu", "policy")
    assert (recipe.target, recipe.confidence) == (0.9, 0.95)
    recipe = load_recipe(PolicyRecipe, layered, "gpu", "policy", ["target=0.86", "kind = coverage"])
    assert (recipe.target, recipe.kind) == (0.86, "coverage")


def test_a_dotted_key_reaches_into_a_table_and_leaves_its_neighbours():
    whole = load_recipe(CommitteeRecipe, RECIPES, "gpu", "committee")
    recipe = load_recipe(
        CommitteeRecipe, RECIPES, "gpu", "committee", ["network.steps=7", "network.crops=[[0, 16]]"]
    )
    assert (recipe.network.steps, recipe.network.crops) == (7, ((0.0, 16),))
    assert recipe.network.seed == whole.network.seed


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("network.stepz=5", "^--set network.stepz=5: network: unknown key 'stepz'"),
        ("network.steps=0", "^--set network.steps=0: network: steps: input should be greater"),
        ("network.steps", "^--set network.steps: write key=value"),
        ("=3", "^--set =3: write key=value"),
        ("network..steps=3", "^--set network..steps=3: "),
        ("network=3", "^--set network=3: network: "),
    ],
)
def test_a_slip_on_the_command_line_is_named(change, said):
    with pytest.raises(RecipeError, match=said):
        load_recipe(CommitteeRecipe, RECIPES, "cpu", "committee", [change])


def test_a_slip_in_the_overlay_is_named_with_the_overlay(layered):
    (layered / "gpu" / "policy.toml").write_text("target = true\n")
    with pytest.raises(RecipeError, match="^gpu/policy.toml: target: "):
        load_recipe(PolicyRecipe, layered, "gpu", "policy")
