"""What jobs are told and what they ask for. All by dry runs."""

import json
import re
import shlex

from workspace import Workspace

CELL = "fmnist/proposed"


def shell_command(job: str) -> list[str]:
    """The words of a job's command, from a dry run's block."""
    return shlex.split(job.partition("Shell command: ")[2] or job.partition("exec ")[2])


def test_a_single_target_runs_just_what_it_needs_and_each_job_is_told_just_that(workspace: Workspace) -> None:
    planned = workspace.planned("--", f"results/tiny/{CELL}.parquet")
    of_cell = ("train", "sweep_bim", "trace_bim", "strong", "autoattack", "collect")
    assert planned.keys() == {("download", "fmnist"), *((rule, CELL) for rule in of_cell)}
    command = shell_command(planned["train", CELL])
    plan = json.loads(command[command.index("--plan") + 1])
    assert plan["defense"] == {"method": "proposed", "step_divisor": 10, "reset_epochs": 3, "labels": "ground_truth"}
    assert (plan["seeds"], plan["epochs"], plan["epsilon"], plan["network"]) == ([0, 1], 6, 0.2, "small_cnn")


def test_an_epoch_that_is_timed_has_the_images_that_are_trained_on(workspace: Workspace) -> None:
    workspace.configure(training={"held_out_examples": 32})
    command = shell_command(workspace.planned("--", "results/tiny/timing.parquet")["time_epochs", ""])
    plans = json.loads(command[command.index("--plans") + 1])
    assert {(plan["examples"], plan["held_out_examples"]) for plan in plans.values()} == {(96, 32)}


def test_a_run_of_all_sees_no_test_image_in_training_and_publishes_nothing(workspace: Workspace) -> None:
    planned = workspace.planned("--cores", "4", "--", "all")
    rules = {rule for rule, _ in planned}
    assert not {
        rule for rule in rules if rule.startswith(("publish", "variants", "ablation", "budgets", "ladder", "successors"))
    }
    for (rule, cell), job in planned.items():
        (inputs,) = re.findall(r"^    input: (.*)", job, re.MULTILINE) or [""]
        if rule in ("train", "time_epochs"):
            assert "train-images" in inputs
            assert "t10k" not in inputs, cell
        threads = re.findall(r"^    threads: (\d+)", job, re.MULTILINE)
        assert threads == (["4"] if rule == "time_epochs" else []), "one thread is not printed"
        assert "gpu=1" not in job, "on a CPU no job asks for a GPU"
