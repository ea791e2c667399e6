"""The report on stored answers: figures worked out by hand, and a page that stands alone."""

import json
import re
from collections import Counter
from html.parser import HTMLParser

import numpy as np
import pytest

from lotwise_training.evaluation.bootstrap import wilson
from lotwise_training.evaluation.classification import (
    DIFFERENCES,
    SECTION,
    SHIFTS,
    compute_classification,
)
from lotwise_training.evaluation.predictions import set_predictions
from lotwise_training.report.build import (
    build_sections,
    describe,
    metrics,
    provenance_section,
    targets_section,
)
from lotwise_training.report.classification import accuracy_table, classification_targets
from lotwise_training.report.figures.classification import confusion_figure
from lotwise_training.report.figures.style import as_svg, write_png
from lotwise_training.report.render import Inputs, Section, numbered, refer, render_page
from lotwise_training.report.targets import MISSED, REACHED, UNKNOWN
from lotwise_training.store.arrays import ResultsError
from tests.training.answered_tiles import MANIFEST, asked, every_set, one


@pytest.fixture(scope="module")
def outputs():
    return every_set()


@pytest.fixture(scope="module")
def records(outputs):
    return compute_classification(outputs, MANIFEST)


def whole_report(outputs, manifest, folder):
    """Sections of a report where nothing but predictions of lots is stored."""
    sections = build_sections(Inputs(folder, None, outputs), manifest)
    return [*sections, provenance_section(manifest, None)]


@pytest.fixture(scope="module")
def sections(outputs, tmp_path_factory):
    manifest = {**MANIFEST, "benchmark": None}  # regions of these tiles are not known
    return whole_report(outputs, manifest, tmp_path_factory.mktemp("empty"))


@pytest.fixture(scope="module")
def page(outputs, sections):
    return render_page("Evaluation", describe(outputs, MANIFEST), sections)


def classified(records, split, method, name="test"):
    """Values by metric."""
    rows = records.rows(SECTION, split=split, set=name, method=method)
    return {metric: each.value for metric, each in rows[0].metrics.items()} if rows else None


class Elements(HTMLParser):
    """What a page consists of."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.text = Counter(), [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data):
        self.text.append(data)


def test_figures_of_four_tiles_by_hand():
    # Right, its repeat, right but unsure, another recipe.
    single = one(
        [0.7, 0.1, 0.1, 0.1], [0.6, 0.2, 0.1, 0.1], [0.3, 0.2, 0.4, 0.1], [0.9, 0.04, 0.03, 0.03]
    )
    better = one(
        [0.8, 0.1, 0.05, 0.05], [0.2, 0.6, 0.1, 0.1], [0.1, 0.1, 0.7, 0.1], [0.5, 0.2, 0.2, 0.1]
    )
    labels = np.array([0, 1, 2, 3])
    test = set_predictions(np.arange(4), labels, {"single": single, "ensemble": better})
    records = compute_classification({("tile-random", "test"): test}, MANIFEST)
    alone = classified(records, "tile-random", "single")
    assert alone["accuracy"] == 0.5
    assert alone["recipe_accuracy"] == 0.75
    nll = -np.log([0.7, 0.2, 0.4, 0.03]).mean()
    assert alone["nll"] == pytest.approx(nll, rel=1e-3)
    assert alone["confidence"] == pytest.approx((0.7 + 0.6 + 0.4 + 0.9) / 4, rel=1e-3)
    interval = records.find(SECTION, "accuracy", method="single").interval
    assert interval == pytest.approx(wilson(2, 4))
    # By entropy: the wrong fourth tile first, then the first, the second and the third.
    assert alone["aurc"] == pytest.approx((1 + 1 / 2 + 2 / 3 + 2 / 4) / 4)
    assert alone["selective_risk"] == 0.5
    (difference,) = records.rows(DIFFERENCES)
    assert difference.value("accuracy_gain") == 0.25
    ensemble_nll = -np.log([0.8, 0.6, 0.7, 0.1]).mean()
    assert difference.value("nll_gain") == pytest.approx(ensemble_nll - nll, rel=1e-2)
    assert difference.value("better")
    assert difference.metrics["accuracy_gain"].interval == (0.0, 0.75)
    assert not difference.value("significant")
    assert classified(records, "tile-random", "dropout") is None


def test_tiles_without_a_lot_are_measured_by_uncertainty_alone(records):
    unseen = classified(records, "lot-held-out", "ensemble", "unseen")
    assert "accuracy" not in unseen
    assert records.find(SECTION, "entropy", set="unseen").count == 60
    assert 0 < unseen["entropy"] <= np.log(2)


def test_shifted_sets_are_compared_with_new_regions_and_unseen_lots_with_test_tiles(records):
    rows = records.rows(SHIFTS)
    against = {(row.of["split"], row.of["set"]): row.of["against"] for row in rows}
    assert against == {
        ("tile-random", "new_regions"): "test",
        ("tile-random", "filament_dim"): "new_regions",
        ("tile-random", "unrelated"): "new_regions",
        ("lot-held-out", "unseen"): "test",
    }


def test_shifts_by_hand():
    sure, unsure = [0.97, 0.01, 0.01, 0.01], [0.25, 0.25, 0.25, 0.25]
    # Members who agree on nothing differ from members who all doubt.
    split = np.log(np.array([[sure, [0.01, 0.97, 0.01, 0.01]]]))
    agreed = np.log(np.array([[sure, sure]]))
    known = {"single": one(sure, sure), "ensemble": np.concatenate([agreed, agreed])}
    far = {"single": one(unsure, sure), "ensemble": np.concatenate([split, split])}
    outputs = {
        ("tile-random", "test"): set_predictions(np.arange(2), np.array([0, 0]), known),
        ("tile-random", "ground"): set_predictions(np.arange(2), np.array([-1, -1]), far),
        ("tile-random", "filament_dim"): set_predictions(np.arange(2), np.array([1, 0]), far),
    }
    rows = compute_classification(outputs, MANIFEST).rows(SHIFTS)
    shifts = {(row.of["set"], row.of["method"]): row for row in rows}

    def value(name, method, metric):
        return shifts[name, method].metrics[metric].value

    # Without new regions the test tiles stand in.
    assert shifts["ground", "single"].of["against"] == "test"
    # One shifted tile above both known ones, one that ties with them.
    assert value("ground", "single", "entropy_auroc") == pytest.approx(0.75)
    assert value("ground", "single", "entropy_fpr95") == 1.0
    assert value("ground", "single", "mi_auroc") is None
    assert value("ground", "ensemble", "entropy_auroc") == 1.0
    assert value("ground", "ensemble", "mi_auroc") == 1.0
    assert value("ground", "ensemble", "mi_fpr95") == 0.0
    assert value("ground", "single", "accuracy_drop") is None
    # Both known tiles are right; of the shifted ones the first, a tie, goes to lot 0.
    assert value("filament_dim", "single", "accuracy_drop") == 0.5


def test_intervals_are_over_regions_where_places_are_known(outputs, records):
    def places(_):
        n = np.arange(200)
        return n // 100, n // 10 % 10, n % 10

    test = {("tile-random", "test"): outputs["tile-random", "test"]}
    by_region = compute_classification(test, MANIFEST, places)
    found, by_tile = (
        each.find(SECTION, "accuracy", split="tile-random", method="single")
        for each in (by_region, records)
    )
    assert by_region.value(SECTION, "regions", method="single") == 12
    assert records.value(SECTION, "regions") is None
    assert found.value == by_tile.value
    assert found.interval != by_tile.interval
    assert "bootstrap over regions" in accuracy_table(by_region).note
    assert "Wilson over tiles" in accuracy_table(records).note


def test_tiles_that_the_benchmark_does_not_have_are_refused(outputs):
    with pytest.raises(ResultsError, match="test: there are tiles that the benchmark"):
        compute_classification(outputs, MANIFEST, lambda _: (np.zeros(9, int),) * 3)


def perfect(n=1000, wrong=0, confidence=0.99):
    """Answers of this accuracy: every tenth of a percent is a tile; doubt falls on wrong ones."""
    labels = np.zeros(n, dtype=int)
    rows = np.tile([confidence, *[(1 - confidence) / 3] * 3], (n, 1))
    rows[:wrong] = [0.3, 0.4, 0.2, 0.1]
    return labels, one(*rows)


@pytest.mark.parametrize(("wrong", "reached"), [(47, True), (48, False)])
def test_a_target_is_reached_at_its_bound_and_missed_beyond(wrong, reached):
    labels, logits = perfect(wrong=wrong)
    test = set_predictions(np.arange(len(labels)), labels, {"ensemble": logits})
    first, single, _, nll, error, *beats = classification_targets(
        compute_classification({("tile-random", "test"): test}, MANIFEST)
    )
    assert first.reached is reached
    assert first.value == pytest.approx(1 - wrong / 1000)
    # All wrong tiles are among the tenth that is referred.
    assert (error.reached, error.value) == (True, 0.0)
    assert nll.reached
    assert single.reached is None
    assert [target.reached for target in beats] == [None] * 6


def test_targets_compare_methods_on_every_split(records):
    found = classification_targets(records)
    assert len(found) == 11
    beats = {target.what: target for target in found[5:]}
    of = {"split": "region-blocked", "set": "test", "other": "dropout"}
    (expected,) = records.rows(DIFFERENCES, **of)
    target = beats["region-blocked: beats MC dropout"]
    assert target.reached is expected.metrics["better"].value
    assert f"{100 * expected.value('accuracy_gain'):.2f} points" in target.measured
    verdicts = {row[1] for row in targets_section(found).tables[0].cells}
    assert verdicts <= {REACHED, MISSED, UNKNOWN}


def test_the_page_holds_every_table_and_every_figure(page, records):
    found = Elements(page)
    ids = [value for _, name, value in found.attributes if name == "id"]
    assert [i for i, n in Counter(ids).items() if n > 1] == []
    for table in ("targets", "accuracy", "differences", "referral", "shifted-accuracy", "shifts"):
        assert table in ids
    assert "runs" in ids
    names = ("accuracy", "risk-coverage", "entropy", "confusion-lot-held-out")
    for name in (*names, "reliability-tile-random"):
        assert f"figure-{name}" in ids
    assert found.tags["svg"] == found.tags["figure"] == 9
    text = " ".join(found.text)
    assert f"{100 * classified(records, 'tile-random', 'ensemble')['accuracy']:.2f}" in text
    for phrase in ("simulated lots", "profile “cpu”", "benchmark v1", "3 members", "d" * 64):
        assert phrase in text
    assert "was made again for this page" in text


def test_the_page_needs_nothing_from_outside(page):
    found = Elements(page)
    assert found.tags["script"] == found.tags["link"] == found.tags["img"] == 0
    for tag, name, value in found.attributes:
        if name in ("href", "src", "xlink:href") or "url(" in value:
            inside = value.startswith(("#", "data:image/png;base64,")) or "url(#" in value
            assert inside, (tag, name, value[:80])
        assert not name.startswith("on")
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)
    # Every reference inside a figure has its target on the page.
    ids = {value for _, name, value in found.attributes if name == "id"}
    referred = set(re.findall(r"url\(#([^)]+)\)", page))
    for _, name, value in found.attributes:
        if name == "xlink:href" and value.startswith("#"):
            referred.add(value[1:])
    assert referred <= ids
    assert referred


def test_figures_keep_their_words_as_text_and_can_be_files(sections, tmp_path):
    drawn = {plot.name: plot for section in sections for plot in section.plots}
    svg = as_svg(drawn["risk-coverage"].figure, "x", 'says "so"')
    assert "coverage: share of tiles accepted" in svg
    assert svg.startswith('<svg role="img" aria-label="says &quot;so&quot;"')
    assert svg == as_svg(drawn["risk-coverage"].figure, "x", 'says "so"')
    write_png(drawn["entropy"].figure, tmp_path / "figures" / "entropy.png")
    assert (tmp_path / "figures" / "entropy.png").read_bytes().startswith(b"\x89PNG")


def test_a_report_of_the_least_that_can_be_stored(tmp_path):
    labels = np.array([0, 1, 0, 1])
    few = {"single": one([0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.3, 0.7])}
    outputs = {("tile-random", "test"): set_predictions(np.arange(4), labels, few)}
    sections = whole_report(outputs, {}, tmp_path)
    page = render_page("Evaluation", describe(outputs, {}), sections)
    assert "75.00" in page
    assert "not measured" in page
    assert "Shifted tiles" not in page
    assert json.dumps(metrics(sections), allow_nan=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lot_ids": ["R1"], "runs": {}}, "know 4 lots, the manifest names 1"),
        ({"runs": {"tile-random": {"lot_ids": ["R1", "R2"]}}}, "know 4 lots, the manifest names 2"),
    ],
)
def test_predictions_of_other_lots_than_the_manifests_are_refused(outputs, change, message):
    with pytest.raises(ResultsError, match=message):
        compute_classification(outputs, MANIFEST | change)


def test_predictions_that_are_none_are_refused(outputs):
    key = ("tile-random", "test")
    with pytest.raises(ResultsError, match="no set named 'test'"):
        compute_classification({k: v for k, v in outputs.items() if k[1] != "test"}, MANIFEST)
    broken = asked(np.arange(8) % 4, 0)
    broken.predictions["single"].log_probabilities[3, 1] = np.nan
    with pytest.raises(ResultsError, match="single has predictions that are no numbers"):
        compute_classification({key: broken}, MANIFEST)
    with pytest.raises(ResultsError, match="names none of the 4 lots"):
        compute_classification(
            {key: set_predictions(np.arange(1), np.array([4]), {"single": one([0.25] * 4)})}, {}
        )
    with pytest.raises(ResultsError, match="single does not predict 2 tiles"):
        compute_classification(
            {key: set_predictions(np.arange(2), np.zeros(2), {"single": one([0.25] * 4)})}, {}
        )


def test_a_lot_without_tiles_has_no_wrong_answers_either():
    logits = one([0.9, 0.05, 0.03, 0.02], [0.1, 0.2, 0.1, 0.6])
    test = set_predictions(np.arange(2), np.array([0, 2]), {"ensemble": logits})
    figure = confusion_figure({("tile-random", "test"): test}, MANIFEST, "tile-random")
    bars = {container.get_label(): [bar.get_width() for bar in container]
            for axes in figure.axes for container in axes.containers}  # fmt: skip
    assert bars == {
        "correct": [1, 0, 0, 0],
        "repeat of its recipe": [0, 0, 1, 0],
        "another recipe": [0, 0, 0, 0],
    }


def test_tables_are_numbered_as_they_appear_and_text_refers_to_them_by_number(sections, page):
    numbers = numbered(sections)
    names = [table.name for section in sections for table in section.tables]
    assert numbers == {name: place for place, name in enumerate(names, 1)}
    captions = re.findall(r"<caption><b>Table (\d+)\.</b>", page)
    assert captions == [str(number) for number in numbers.values()]
    assert f'<a href="#shifts">Table {numbers["shifts"]}</a>' in page
    assert refer("as [[shifts]], [[gone]]", {"shifts": 6}) == "as Table 6, the table “gone”"


def test_what_is_put_into_the_page_is_escaped():
    page = render_page("a<b", "<script>", [Section("x", "y&z", ("1 < 2",))])
    assert "<script>" not in page
    assert "y&amp;z" in page
    assert "1 &lt; 2" in page
