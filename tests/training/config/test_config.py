"""Recipes: what is shipped can be followed, and a slip of the pen is refused by name."""

import re

import pytest

from lotwise_training.config.load import RECIPES, RecipeError, load_recipe
from lotwise_training.config.plan import PlanRecipe
from lotwise_training.config.schema import (
    CommitteeRecipe,
    EditorRecipe,
    IntervalRecipe,
    PolicyRecipe,
    RegressorRecipe,
)

KINDS = {
    "committee": CommitteeRecipe,
    "regressor": RegressorRecipe,
    "editor": EditorRecipe,
    "plan": PlanRecipe,
}
COMMITTEE = (RECIPES / "cpu" / "committee.toml").read_text()
PLAN = (RECIPES / "cpu" / "plan.toml").read_text()

POLICY = """
kind = "coverage"
target = 0.85
min_familiarity = 0.05
max_referred_share = 0.2
confidence = 0.95
"""


@pytest.fixture
def written(tmp_path):
    """Writes a recipe and gives its path."""

    def write(text, name="policy"):
        path = tmp_path / "cpu" / f"{name}.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write


def changed(text, key, value):
    """A recipe with another value of its first key of that name."""
    new, found = re.subn(rf"^{key} = .*$", f"{key} = {value}", text, count=1, flags=re.M)
    assert found
    return new


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("profile", ["cpu", "gpu", "paper"])
def test_shipped_recipes_load(name, profile):
    path = RECIPES / profile / f"{name}.toml"
    assert isinstance(load_recipe(KINDS[name], path), KINDS[name])


def test_every_recipe_lies_in_the_folder_of_a_profile():
    folders = {str(path.parent.relative_to(RECIPES)) for path in RECIPES.rglob("*.toml")}
    assert folders == {"cpu", "gpu", "paper"}


@pytest.mark.parametrize("name", KINDS)
def test_the_cpu_profile_gives_a_reason_beside_or_above_every_hyper_parameter(name):
    lines = (RECIPES / "cpu" / f"{name}.toml").read_text().splitlines()
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
    recipe = load_recipe(CommitteeRecipe, RECIPES / "paper" / "committee.toml")
    network = recipe.network
    assert (recipe.members, recipe.dropout_passes, recipe.dropout) == (16, 16, 0.3)
    assert (recipe.split, network.depth, network.widen) == ("tile-random", 16, 2)
    assert (network.learning_rate, network.weight_decay, network.batch_size) == (1e-3, 5e-4, 64)
    assert (network.epochs, network.schedule, network.halve_every_epochs) == (200, "halving", 50)
    assert network.crops == ((0.0, 64),)


def test_the_paper_profile_holds_the_papers_editor():
    network = load_recipe(EditorRecipe, RECIPES / "paper" / "editor.toml").attgan
    assert (network.dim, network.discriminator_dim, network.crop_px) == (64, 64, 256)
    assert (network.learning_rate, network.batch_size) == (2e-4, 32)


def test_whole_numbers_stand_for_floats_but_nothing_else_is_coerced(written):
    with pytest.raises(RecipeError, match="confidence: Input should be less than 1"):
        load_recipe(PolicyRecipe, written(changed(POLICY, "confidence", 1)))
    with pytest.raises(RecipeError, match="confidence: must be float, not '0.95'"):
        load_recipe(PolicyRecipe, written(changed(POLICY, "confidence", '"0.95"')))
    with pytest.raises(RecipeError, match=r"members: must be int, not 4\.0"):
        load_recipe(CommitteeRecipe, written(changed(COMMITTEE, "members", 4.0)))
    with pytest.raises(RecipeError, match="members: must be int, not True"):
        load_recipe(CommitteeRecipe, written(changed(COMMITTEE, "members", "true")))


def test_an_unknown_key_is_named_with_its_file(written):
    with pytest.raises(RecipeError, match=r"^cpu/policy.toml: unknown key 'tarrget'; keys"):
        load_recipe(PolicyRecipe, written(POLICY + "tarrget = 0.9\n"))


def test_a_missing_key_is_named(written):
    with pytest.raises(RecipeError, match="missing key 'max_referred_share'"):
        load_recipe(PolicyRecipe, written(POLICY.replace("max_referred_share = 0.2", "")))


def test_keys_of_a_table_are_named_with_the_table(written):
    text = COMMITTEE.replace("[network]", "[network]\nepoch = 3")
    with pytest.raises(RecipeError, match=r"policy.toml network: unknown key 'epoch'"):
        load_recipe(CommitteeRecipe, written(text))
    text = "comparison = 3\n" + COMMITTEE.replace("[comparison]", "[compared]")
    with pytest.raises(RecipeError, match="unknown key 'compared'"):
        load_recipe(CommitteeRecipe, written(text))
    text = "policy = 3\n" + re.sub(r"\[policy\].*?(?=\[calibration\])", "", COMMITTEE, flags=re.S)
    with pytest.raises(RecipeError, match="policy: must be a table"):
        load_recipe(CommitteeRecipe, written(text))


def test_a_file_that_cannot_be_read_is_named(written, tmp_path):
    with pytest.raises(RecipeError, match=r"absent\.toml"):
        load_recipe(PolicyRecipe, tmp_path / "absent.toml")
    with pytest.raises(RecipeError, match=r"policy\.toml: .*line 1"):
        load_recipe(PolicyRecipe, written("target_coverage 0.95"))


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("crops", "[]", "crops must start at 0"),
        ("crops", "[[0.5, 32]]", "crops must start at 0"),
        ("crops", "[[0.0, 32], [0.0, 64]]", "crops must start at 0"),
        ("crops", "[[0.0, 32], [1.0, 64]]", "crops must start at 0"),
        ("crops", "[[0.0, 0]]", "crops must have at least one pixel"),
        ("crops", "[[0.0]]", "crops: must have 2 entries"),
        ("crops", "32", "crops: must be a list, not 32"),
        ("members", 0, "members must be positive"),
        ("dropout", 1.0, "dropout must lie between 0 and 1"),
        ("split", '"random"', "split must be one of tile-random, region-blocked, lot-held-out"),
        ("schedule", '"cosine"', "schedule must be halving or one-cycle, not 'cosine'"),
        ("epochs", 0, "epochs must be positive"),
        ("patience", 0, "patience must be positive"),
        ("warmup_share", 0, "warmup_share must lie between 0 and 1"),
        ("outliers", 0, "must both be positive, or both be 0"),
        ("outlier_batch_size", 0, "must both be positive, or both be 0"),
        ("outlier_weight", -0.5, "outlier_weight must not be negative"),
        ("head_tiles", -1, "head_tiles must not be negative"),
        ("other_splits_share", 0, r"other_splits_share must lie in 0\.\.1"),
        ("kind", '"hope"', "kind: Input should be"),
        ("target", 0.96, "cannot be reached"),
        ("max_referred_share", 0.1, "refers every lot"),
        ("fresh_tiles", 0, "fresh_tiles must be positive"),
    ],
)
def test_values_that_make_no_training_are_refused(written, key, value, said):
    path = written(changed(COMMITTEE, key, value), "committee")
    with pytest.raises(RecipeError, match=f"^cpu/committee.toml.*{said}"):
        load_recipe(CommitteeRecipe, path)


def test_a_recipe_without_outliers_can_be_followed(written):
    text = changed(changed(COMMITTEE, "outliers", 0), "outlier_batch_size", 0)
    assert load_recipe(CommitteeRecipe, written(text)).network.outliers == 0


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("shares", "[0.5, 0.25, 1.0]", "shares must be three at least and rise"),
        ("shares", "[0.5, 1.0]", "shares must be three at least"),
        ("shares", "[0.0, 0.5, 1.0]", r"shares must lie in 0\.\.1"),
        ("shares", "[0.1, 0.5, 1.5]", r"shares must lie in 0\.\.1"),
        ("members", 0, "members must be positive"),
        ("resamples", 0, "resamples must be positive"),
        ("split", '"random"', "split must be one of"),
    ],
)
def test_values_that_make_no_learning_curve_are_refused(written, key, value, said):
    path = written(changed(PLAN, key, value), "plan")
    with pytest.raises(RecipeError, match=f"^cpu/plan.toml.*{said}"):
        load_recipe(PlanRecipe, path)


def test_an_unknown_optimiser_is_refused(written):
    with pytest.raises(RecipeError, match="optimiser must be adam or sgd, not 'adamw'"):
        load_recipe(CommitteeRecipe, written(COMMITTEE.replace('"sgd"', '"adamw"'), "committee"))


@pytest.mark.parametrize("coverage", [0.4, 1.0])
def test_a_default_coverage_that_no_interval_can_have_is_refused(coverage, written):
    with pytest.raises(RecipeError, match=f"coverage must lie from 0.5 to below 1, not {coverage}"):
        load_recipe(IntervalRecipe, written(f"coverage = {coverage}\nlot_tiles = 10\n"))
