from typing import Any

from advtrain.results.origin import in_a_line

COMMIT = "0123456789" + "a" * 30
MODEL: dict[str, Any] = {"commit": COMMIT, "device": "cuda NVIDIA H200"}


def evaluation(commit: str, device: str) -> dict[str, Any]:
    return {"commit": commit, "device": device, "inputs": {"model": MODEL}}


def test_a_figure_names_scale_device_and_commit_once_whatever_it_was_made_of() -> None:
    tables = {"mnist/atda": evaluation(COMMIT, "cuda NVIDIA H200"), "mnist/proposed": evaluation(COMMIT, "cuda NVIDIA H200")}
    assert in_a_line("small_cnn, 80 epochs", tables) == "small_cnn, 80 epochs; cuda NVIDIA H200; commit 0123456789"


def test_a_figure_names_the_devices_and_commits_of_its_inputs_and_what_is_in_none() -> None:
    tables = {"mnist/atda": evaluation("b" * 40 + "-dirty", "cpu AMD EPYC")}
    assert in_a_line("madry_cnn", tables) == "madry_cnn; cpu AMD EPYC; cuda NVIDIA H200; commits 0123456789, bbbbbbbbbb-dirty"


def test_a_commit_that_is_not_known_is_named_so() -> None:
    assert in_a_line("madry_cnn", {"mnist/atda": {"commit": "unknown"}}) == "madry_cnn; commit unknown"
