"""A user's configuration on top of another: two defenses, one data set, other titles, and what is asked for by name."""

from typing import Any

from advtrain.report.verdicts import Verdict
from advtrain.results import checkpoint
from advtrain.results.parquet import read_provenance, read_table
from workspace import OTHER, TITLES, Workspace


def settings(run: Workspace, classifier: str) -> dict[str, Any]:
    """What the provenance says of a training on MNIST."""
    return read_provenance(run.results / "models" / "mnist" / f"{classifier}.history.parquet").record["settings"]


def test_the_run_ends_with_tables_figures_claims_and_a_report_of_what_was_chosen(own_run: Workspace) -> None:
    table = read_table(own_run.results / "table1.parquet").to_pandas()
    assert list(table["defense"].unique()) == ["proposed", "bim10_adv"]
    assert list(table["group"].unique()) == [TITLES["datasets"]["mnist"]["title"], "Training time"]
    verdicts = read_table(own_run.results / "claims.parquet").column("verdict").to_pylist()
    assert set(verdicts) == {str(Verdict.CANNOT_BE_TOLD)}, "the paper's claims are about both data sets"
    for figure in ("figure1", "figure2", "table1_bars", "transfer", "histories"):
        assert "Fashion-MNIST" not in (own_run.results / f"{figure}.svg").read_text()
    assert (own_run.folder / "report.html").stat().st_size > 0


def test_what_another_configuration_has_made_is_used_again(own_run: Workspace, finished_run: Workspace) -> None:
    for name in ("models/mnist/bim10_adv.pt", "mnist/bim10_adv.parquet"):
        assert (own_run.results / name).stat().st_mtime_ns == (finished_run.results / name).stat().st_mtime_ns


def test_a_classifier_is_trained_with_what_its_name_says(own_run: Workspace) -> None:
    own, other, step = (settings(own_run, f"proposed{suffix}") for suffix in ("", "__other", "__step1_reset3"))
    labels = {"labels": OTHER["training"]["labels"]}
    assert other == {**own, "network": "madry_cnn", "seeds": [7], "defense": own["defense"] | labels}
    assert step == {**own, "defense": own["defense"] | {"step_divisor": 1}}
    assert checkpoint.load(own_run.results / "models/mnist/proposed__other.pt")["network"] == "madry_cnn"


def test_the_tables_of_choices_and_of_steps_have_each_once(own_run: Workspace) -> None:
    choices = read_table(own_run.results / "variants.parquet").to_pandas()["choice"].unique().tolist()
    assert choices == ["As configured", "BIM of ε/10 a step", OTHER["title"]]
    grid = read_table(own_run.results / "ablation.parquet").to_pandas()[["step_divisor", "reset_epochs"]]
    assert set(map(tuple, grid.to_numpy().tolist())) == {(10, 3), (1, 3)}


def test_classifiers_of_equal_price_are_trained_within_their_budget(own_run: Workspace) -> None:
    table = read_table(own_run.results / "budgets.parquet").to_pandas()
    trained = table[["classifier", "epochs", "passes"]].drop_duplicates().to_numpy().tolist()
    assert sorted(trained) == [["bim10_adv__budget18", 2, 24.0], ["proposed", 6, 18.0]], "Proposed is so by its own recipe"
    history = read_table(own_run.results / "models" / "mnist" / "bim10_adv__budget18.history.parquet")
    assert history.column("epoch").to_pylist() == [1, 2] * 2


def test_the_methods_are_shown_by_setting_without_those_that_do_not_run(own_run: Workspace) -> None:
    table = read_table(own_run.results / "successors.parquet").to_pandas()
    shown = table[["setting", "defense"]].drop_duplicates().to_numpy().tolist()
    assert shown == [["<i>one</i> $x$", "proposed"], ["two", "bim10_adv"]]
    rungs = read_table(own_run.results / "ladder.parquet").to_pandas()
    strongest = [found[found["column"] == "Strongest"].set_index("defense")["mean"] for found in (table, rungs)]
    assert strongest[0].to_dict() == strongest[1].to_dict()


def test_what_is_published_is_what_the_run_made_with_a_page_that_says_how(own_run: Workspace) -> None:
    folder = own_run.folder / "docs" / "results" / "tiny"
    files = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    pages = {name for name in files if name.startswith("about")}
    assert files >= {
        "table1.md",
        "mnist/proposed.parquet",
        "pareto.svg",
        "ablation.svg",
        "variants.md",
        "budgets.svg",
        "successors.svg",
        "headline.md",
    }
    for name in files - pages:
        assert (folder / name).read_bytes() == (own_run.results / name).read_bytes(), name
    assert pages == {
        "about.md",
        "about_variants.md",
        "about_ablation.md",
        "about_budgets.md",
        "about_ladder.md",
        "about_successors.md",
    }
    for page in pages:
        about = (folder / page).read_text()
        for fact in (
            "snakemake --cores 2 --configfile config/tiny.yaml config/own.yaml -- " + page[:-3].replace("about", "publish"),
            "commit",
            "cpu ",
            "epsilon: 0.3",
        ):
            assert fact in about, (page, fact)
        assert max(map(len, about.splitlines())) <= 160, page
