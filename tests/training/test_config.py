"""Recipes: what is shipped can be followed, and a slip of the pen is refused by name."""

import re

import pytest

from lotwise_training.config import (
    RECIPES,
    CommitteeRecipe,
    PolicyRecipe,
    RecipeError,
    RegressorRecipe,
    load_recipe,
)
from lotwise_training.editor import EditorConfig

KINDS = {"committee": CommitteeRecipe, "regressor": RegressorRecipe, "editor": EditorConfig}

POLICY = """
[cpu]
target_coverage = 0.95
unfamiliar_entropy_quantile = 0.999
mutual_information_quantile = 0.99
max_referred_share = 0.2
confidence = 0.95
"""


@pytest.fixture
def policy_file(tmp_path):
    path = tmp_path / "policy.toml"

    def write(text):
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("profile", ["cpu", "gpu"])
def test_shipped_recipes_load(name, profile):
    assert isinstance(load_recipe(KINDS[name], RECIPES / f"{name}.toml", profile), KINDS[name])


@pytest.mark.parametrize("name", KINDS)
def test_the_cpu_profile_gives_a_reason_beside_or_above_every_hyper_parameter(name):
    text = (RECIPES / f"{name}.toml").read_text()
    lines = re.split(r"^\[gpu\]", text, flags=re.M)[0].splitlines()
    bare = [
        line
        for above, line in zip(["", *lines], lines, strict=False)
        if "=" in line.split("#")[0] and "#" not in line and not above.startswith("#")
    ]
    # What the line above explains too, or what explains itself.
    explained_together = {"widen", "validation_tiles", "test_tiles", "seed", "max_seconds"}
    assert [line for line in bare if line.split()[0] not in explained_together] == []


def test_a_recipe_holds_the_papers_committee():
    recipe = load_recipe(CommitteeRecipe, RECIPES / "committee.toml", "gpu")
    assert (recipe.members, recipe.depth, recipe.widen) == (16, 16, 2)
    assert (recipe.learning_rate, recipe.weight_decay, recipe.batch_size) == (1e-3, 5e-4, 64)


def test_whole_numbers_stand_for_floats_but_nothing_else_is_coerced(policy_file):
    with pytest.raises(RecipeError, match=r"confidence must lie between 0 and 1, not 1\.0"):
        load_recipe(
            PolicyRecipe, policy_file(POLICY.replace("confidence = 0.95", "confidence = 1")), "cpu"
        )
    with pytest.raises(RecipeError, match="confidence: must be float, not '0.95'"):
        load_recipe(
            PolicyRecipe,
            policy_file(POLICY.replace("confidence = 0.95", 'confidence = "0.95"')),
            "cpu",
        )


def test_an_unknown_key_is_named(policy_file):
    with pytest.raises(RecipeError, match=r"policy.toml \[cpu\]: unknown key 'target_covrage'"):
        load_recipe(PolicyRecipe, policy_file(POLICY + "target_covrage = 0.9\n"), "cpu")


def test_a_missing_key_is_named(policy_file):
    with pytest.raises(RecipeError, match="missing key 'max_referred_share'"):
        load_recipe(
            PolicyRecipe, policy_file(POLICY.replace("max_referred_share = 0.2", "")), "cpu"
        )


def test_an_unknown_key_in_a_nested_table_is_named(tmp_path):
    text = (RECIPES / "committee.toml").read_text()
    path = tmp_path / "committee.toml"
    path.write_text(text.replace("[cpu.data]", "[cpu.data]\ntrain_tile = 3"))
    with pytest.raises(RecipeError, match="data: unknown key 'train_tile'"):
        load_recipe(CommitteeRecipe, path, "cpu")


def test_a_missing_profile_or_file_is_named(policy_file, tmp_path):
    with pytest.raises(RecipeError, match="no profile 'paper'; there are cpu"):
        load_recipe(PolicyRecipe, policy_file(POLICY), "paper")
    with pytest.raises(RecipeError, match=r"absent\.toml"):
        load_recipe(PolicyRecipe, tmp_path / "absent.toml", "cpu")


@pytest.mark.parametrize("crops", ["[]", "[[0.5, 32]]", "[[0.0, 32], [0.0, 64]]", "[[0.0, 0]]"])
def test_crops_that_do_not_cover_the_training_are_refused(tmp_path, crops):
    text = (RECIPES / "committee.toml").read_text()
    path = tmp_path / "committee.toml"
    path.write_text(re.sub(r"^crops = .*$", f"crops = {crops}", text, count=1, flags=re.M))
    with pytest.raises(RecipeError, match="crops must"):
        load_recipe(CommitteeRecipe, path, "cpu")


def test_the_editors_defaults_are_its_cpu_profile():
    assert load_recipe(EditorConfig, RECIPES / "editor.toml", "cpu") == EditorConfig()
