"""What an edit reruns: that, what follows from it, and nothing else. All by dry runs after a finished one."""

import json
import os
import platform

import pytest

from advtrain.results.parquet import checkpoint
from workspace import DATASETS, DEFENSES, Workspace

PICTURES = {("figure1", ""), ("figure2", ""), ("table1_bars", ""), ("pareto", ""), ("transfer_map", "")}
TABLES = {("table1", ""), ("against_paper", ""), ("differences", ""), ("audit", ""), ("cost", "")}
FROM_TABLE_1 = {("table1", ""), ("table1_bars", ""), ("against_paper", ""), ("cost", "")}
CLAIMS = {("claims", ""), ("cost", "")}
PAPER = PICTURES | TABLES | CLAIMS
TRANSFERS = {("transfer", dataset) for dataset in DATASETS}
TIMING = {("time_epochs", "")}
HISTORIES = {("histories", "")}
EVALUATED_BY = ("sweep_bim", "trace_bim", "strong", "autoattack")


def cell(dataset: str, defense: str) -> set[tuple[str, str]]:
    return {(rule, f"{dataset}/{defense}") for rule in ("train", *EVALUATED_BY, "collect", "audit_model")}


def cells(defense: str) -> set[tuple[str, str]]:
    return set().union(*(cell(dataset, defense) for dataset in DATASETS))


EVALUATIONS = {job for defense in DEFENSES for job in cells(defense) if job[0] != "train"} | TRANSFERS
EVERYTHING = TRANSFERS | {job for defense in DEFENSES for job in cells(defense)} | PAPER | TIMING | HISTORIES


def test_nothing_without_an_edit(finished: Workspace) -> None:
    assert finished.dry_run("--", "all") == set()


def test_a_defense_s_setting_reruns_that_defense(finished: Workspace) -> None:
    finished.configure(defenses={"proposed": {"training": {"reset_epochs": 10}}})
    assert finished.dry_run("--", "all") == cells("proposed") | TRANSFERS | PAPER | TIMING | HISTORIES


def test_a_defense_s_file_reruns_the_classifiers_that_it_trains(finished: Workspace) -> None:
    finished.edit("src/advtrain/defenses/bim_adv.py", "epsilon=self.epsilon,", "epsilon=1.0 * self.epsilon,")
    assert finished.dry_run("--", "all") == cells("bim10_adv") | cells("bim30_adv") | TRANSFERS | PAPER | TIMING | HISTORIES


def test_a_data_set_s_epsilon_reruns_that_data_set(finished: Workspace) -> None:
    finished.edit("config/config.yaml", "epsilon: 0.2", "epsilon: 0.1")
    expected = set().union(*(cell("fmnist", defense) for defense in DEFENSES))
    assert finished.dry_run("--", "all") == expected | {("transfer", "fmnist")} | PAPER | HISTORIES


def test_the_attack_s_code_reruns_everything(finished: Workspace) -> None:
    finished.edit("src/advtrain/attacks.py", "gradient.sign()", "gradient.sgn()")
    assert finished.dry_run("--", "all") == EVERYTHING


def test_the_evaluation_s_code_retrains_nothing(finished: Workspace) -> None:
    finished.edit("src/cell.py", "nn.Sequential] = {}", "nn.Sequential] = dict()")
    assert finished.dry_run("--", "all") == EVALUATIONS | PAPER


def test_training_sees_no_test_image(workspace: Workspace) -> None:
    result = workspace.snakemake(
        "-n", "--cores", "1", "--", "results/tiny/models/mnist/proposed.pt", "results/tiny/timing.parquet"
    )
    inputs = [line for line in result.stdout.splitlines() if line.startswith("    input:") and "src/" in line]
    assert len(inputs) == 2
    assert all("train-images" in line and "t10k" not in line for line in inputs)


def test_the_rule_s_code_is_what_a_checkpoint_belongs_to(workspace: Workspace) -> None:
    result = workspace.snakemake("-n", "--cores", "1", "--", "results/tiny/models/mnist/proposed.pt")
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("    input:") and "src/" in line]
    code = {name for name in line.removeprefix("    input: ").split(", ") if name.startswith("src/advtrain/")}
    assert code == {f"src/advtrain/{name}" for name in (*checkpoint.SCIENCE, "defenses/proposed.py")}


def test_the_sweep_s_iterations_rerun_no_training(finished: Workspace) -> None:
    finished.configure(evaluation={"sweep_iterations": [1, 2, 5, 10, 30]})
    expected = {job for job in EVALUATIONS if job[0] in ("sweep_bim", "collect", "audit_model", "transfer")}
    assert finished.dry_run("--", "all") == expected | PAPER


def test_a_figure_s_code_reruns_the_pictures(finished: Workspace) -> None:
    finished.edit("src/advtrain/figures.py", "PANEL_INCHES = (4.6, 3.6)", "PANEL_INCHES = (4.8, 3.6)")
    assert finished.dry_run("--", "all") == PICTURES | HISTORIES


def test_what_the_scripts_of_tables_and_figures_share_reruns_all_of_them(finished: Workspace) -> None:
    finished.edit("src/outputs.py", "preserve_index=False", "preserve_index=None")
    assert finished.dry_run("--", "all") == PAPER | HISTORIES


def test_a_criterion_of_the_audit_attacks_nothing_again(finished: Workspace) -> None:
    finished.edit("src/advtrain/criteria.py", "Noise is the weakest attack of all.", "No attack is weaker.")
    assert finished.dry_run("--", "all") == TABLES | {("table1_bars", ""), ("pareto", "")}


def test_the_audit_s_numbers_attack_again_for_the_audit_only(finished: Workspace) -> None:
    finished.configure(audit={"square_queries": 2, "noise_draws": 20})
    expected = {job for job in EVALUATIONS if job[0] == "audit_model"}
    assert finished.dry_run("--", "all") == expected | {("audit", ""), *FROM_TABLE_1}


@pytest.mark.parametrize("edited", ["claims.py", "verdicts.py", "templates/claims.html"])
def test_what_judges_the_claims_reruns_them_alone(finished: Workspace, edited: str) -> None:
    file = finished.folder / "src" / "advtrain" / edited
    file.write_text(file.read_text() + "\n")
    assert finished.dry_run("--", "all") == CLAIMS


def test_a_title_redraws_and_retrains_nothing(finished: Workspace) -> None:
    finished.configure(defenses={"proposed": {"title": "Ours"}})
    assert finished.dry_run("--", "all") == PAPER | HISTORIES


def test_a_cuda_graph_is_timed_anew_and_retrains_nothing(finished: Workspace) -> None:
    rerun = finished.dry_run("--config", "cuda_graph=True", "--", "all")
    assert TIMING <= rerun <= TIMING | PAPER


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_the_device_is_no_reason_to_retrain(finished: Workspace, device: str) -> None:
    assert finished.dry_run("--config", f"device={device}", "--", "all") == set()


def test_an_exchange_of_two_numbers_is_seen(finished: Workspace) -> None:
    finished.configure(timing={"blocks": 1, "steps_per_block": 2})
    assert finished.dry_run("--", "all") == TIMING | FROM_TABLE_1 | CLAIMS | {("pareto", "")}
    finished.configure(training={"monitor_examples": 2, "monitor_iterations": 16})
    assert {("train", f"{d}/{m}") for d in DATASETS for m in DEFENSES} <= finished.dry_run("--", "all")


def test_how_often_to_save_is_no_reason_to_retrain(finished: Workspace) -> None:
    finished.configure(training={"checkpoint_epochs": 2}, evaluation={"batch_size": 24})
    assert finished.dry_run("--", "all") == set()


def test_an_added_seed_retrains(finished: Workspace) -> None:
    finished.configure(training={"seeds": [0, 1, 2]})
    jobs = finished.dry_run("--", "all")
    assert {job for job in jobs if job[0] == "train"} == {("train", f"{d}/{m}") for d in DATASETS for m in DEFENSES}


def test_a_single_target_runs_just_what_it_needs(workspace: Workspace) -> None:
    expected = {("download", "fmnist"), *cell("fmnist", "proposed")} - {("audit_model", "fmnist/proposed")}
    assert workspace.dry_run("--", "results/tiny/fmnist/proposed.parquet") == expected


def test_a_defense_is_added_by_a_file_and_an_entry(finished: Workspace) -> None:
    (finished.folder / "src/advtrain/defenses/half_adv.py").write_text(
        (finished.folder / "src/advtrain/defenses/fgsm_adv.py").read_text().replace("FgsmAdv", "HalfAdv")
    )
    training = {"method": "half_adv", "labels": "ground_truth"}
    finished.configure(defenses={"half_adv": {"title": "Half", "family": "single_adv", "training": training}})
    assert finished.dry_run("--", "all") == cells("half_adv") | TRANSFERS | PAPER | TIMING | HISTORIES
    result = finished.snakemake("--cores", "2", "--", "results/tiny/models/mnist/half_adv.pt")
    assert result.returncode == 0, result.stderr


def resources(workspace: Workspace, *arguments: str) -> list[str]:
    result = workspace.snakemake("-n", "--cores", "4", *arguments, "--", "results/tiny/models/mnist/proposed.pt")
    assert result.returncode == 0, result.stderr
    return [line for line in result.stdout.splitlines() if line.strip().startswith("resources:") and "device=" in line]


@pytest.mark.parametrize(("device", "gpus"), [("cpu", 0), ("cuda", 1)])
def test_only_jobs_that_use_a_gpu_ask_for_one(workspace: Workspace, device: str, gpus: int) -> None:
    workspace.configure(device=device)
    (line,) = resources(workspace, "--resources", "gpu=1")
    assert f"gpu={gpus}" in line


@pytest.mark.skipif(platform.system() != "Linux", reason="a Mac has its own GPU")
@pytest.mark.parametrize(("says", "gpus"), [("echo 'GPU 0: NVIDIA H200'", 1), ("exit 9", 0), ("echo 'No devices found'", 0)])
def test_auto_asks_for_a_gpu_only_where_there_is_one(
    workspace: Workspace, says: str, gpus: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver's tool alone may be there without a GPU."""
    tool = workspace.folder / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\n{says}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
    workspace.configure(device="auto")
    (line,) = resources(workspace)
    assert f"gpu={gpus}" in line


def test_trainings_take_one_thread_and_the_timing_all(workspace: Workspace) -> None:
    result = workspace.snakemake("-n", "--cores", "4", "--", "all")
    assert result.stdout.count("threads: ") == 1, "one thread is not printed"
    assert "threads: 4" in result.stdout


def test_settings_reach_the_scripts_as_json(workspace: Workspace) -> None:
    result = workspace.snakemake("-n", "-p", "--cores", "1", "--", "results/tiny/models/mnist/bim30_adv.pt")
    (line,) = [line for line in result.stdout.splitlines() if "python3 src/train.py" in line]
    settings = line.partition("--settings '")[2].partition("'")[0]
    assert json.loads(settings) == {"method": "bim_adv", "iterations": 30, "labels": "ground_truth"}
