"""What an edit reruns: that, what follows from it, and nothing else. All by dry runs after a finished one."""

from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml

from workspace import DATASETS, DEFENSES, Job, Workspace

EVALUATED_BY = ("sweep_bim", "trace_bim", "strong", "autoattack", "collect", "audit_model")
FROM_TABLE_1 = {"table1", "table1_bars", "headline", "against_paper", "cost"}
FROM_AUDIT = {"audit", "differences", "pareto", *FROM_TABLE_1}
FROM_EVALUATIONS = {"figure1", "figure2", "transfer_map", "claims", *FROM_AUDIT}
FROM_TIMING = {"time_epochs", "pareto", "claims", *FROM_TABLE_1}
FROM_TRAININGS = {"histories", "overfitting", "cost"}


def jobs(rules: Iterable[str], *cells: str) -> set[Job]:
    """A job of each rule for each cell."""
    return {(rule, cell) for rule in rules for cell in cells or [""]}


def cells(*defenses: str, datasets: Iterable[str] = DATASETS) -> list[str]:
    return [f"{dataset}/{defense}" for dataset in datasets for defense in defenses]


def retrained(*defenses: str, datasets: Iterable[str] = DATASETS) -> set[Job]:
    """What follows from new trainings."""
    of_cells = jobs(("train", *EVALUATED_BY), *cells(*defenses, datasets=datasets))
    return of_cells | jobs(("transfer",), *datasets) | jobs(FROM_EVALUATIONS | FROM_TRAININGS)


ALL = retrained(*DEFENSES) | jobs(FROM_TIMING)


def edit(workspace: Workspace, file: str) -> None:
    """Change a file's text and not what it does."""
    path = workspace.folder / file
    path.write_text(path.read_text() + "\n# edited\n")


def test_a_device_a_pace_and_how_results_are_stored_and_scripts_are_called_rerun_nothing(finished: Workspace) -> None:
    finished.configure(device="cuda", training={"checkpoint_epochs": 2}, evaluation={"batch_size": 24})
    for file in ("advtrain/results/provenance.py", "advtrain/results/checkpoint.py", "cli/command.py", "cli/evaluation.py"):
        edit(finished, f"src/{file}")
    edit(finished, "src/advtrain/defenses/atda.py")  # of a defense that does not run
    assert finished.planned("--", "all").keys() == set()


@pytest.mark.parametrize(
    ("file", "expected"),
    [("system/device.py", ALL), ("defenses/bim_adv.py", retrained("bim10_adv") | jobs(FROM_TIMING))],
)
def test_code_reruns_what_it_decides(file: str, expected: set[Job], finished: Workspace) -> None:
    edit(finished, f"src/advtrain/{file}")
    assert finished.planned("--", "all").keys() == expected


def test_a_criterion_and_a_verdict_are_judged_again_and_nothing_is_trained_attacked_or_timed_for_them(
    finished: Workspace,
) -> None:
    edit(finished, "src/advtrain/audit/criteria.py")
    edit(finished, "src/advtrain/report/verdicts.py")
    found = {rule for rule, _ in finished.planned("--", "all")}
    assert {"audit", "table1", "claims"} <= found
    assert not found & {"train", *EVALUATED_BY, "transfer", "time_epochs", "figure1", "figure2", "histories"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"defenses": {"bim10_adv": {"training": {"iterations": 4}}}}, retrained("bim10_adv") | jobs(FROM_TIMING)),
        ({"datasets": {"fmnist": {"epsilon": 0.1}}}, retrained(*DEFENSES, datasets=["fmnist"])),
        ({"training": {"monitor_examples": 2, "monitor_iterations": 16}}, retrained(*DEFENSES)),
        (
            {"timing": {"blocks": 1, "steps_per_block": 2}, "evaluation": {"sweep_iterations": [1, 2, 5, 10, 30]}},
            jobs(("sweep_bim", "collect", "audit_model"), *cells(*DEFENSES))
            | jobs(("transfer",), *DATASETS)
            | jobs(FROM_EVALUATIONS | FROM_TIMING),
        ),
        ({"audit": {"square_queries": 2}}, jobs(("audit_model",), *cells(*DEFENSES)) | jobs(FROM_AUDIT)),
        ({"defenses": {"bim10_adv": {"title": "Ours"}}}, jobs(FROM_EVALUATIONS | FROM_TRAININGS)),
    ],
    ids=[
        "a defense's setting",
        "a data set's epsilon",
        "two numbers of training exchanged",
        "two numbers of timing exchanged, and attacks of the sweep",
        "queries of the audit",
        "a title",
    ],
)
def test_a_setting_reruns_what_depends_on_it(
    changes: dict, expected: set[Job], finished_run: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "changes.yaml").write_text(yaml.safe_dump(changes))
    found = finished_run.planned("--configfile", "config/tiny.yaml", str(tmp_path / "changes.yaml"), "--", "all")
    assert found.keys() == expected


def test_values_on_the_command_line_work_as_typed(finished_run: Workspace) -> None:
    typed = ("cuda_graph=false", 'training={"checkpoint_epochs": 7}', "audit={noise_draws: 3}")
    found = finished_run.planned("--config", *typed, "--", "all")
    assert found.keys() == jobs(("audit_model",), *cells(*DEFENSES)) | jobs(FROM_AUDIT | FROM_TIMING)
    assert "--cuda-graph 0" in found["time_epochs", ""]
