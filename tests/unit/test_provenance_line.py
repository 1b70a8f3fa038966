"""What a picture says of the tables that it was made of."""

from advtrain.results.provenance import Provenance, provenance_line

COMMIT = "0123456789" + "a" * 30


def evaluated_with(commit: str, device: str) -> Provenance:
    model = {"commit": COMMIT, "device": "cuda NVIDIA H200"}
    return Provenance({"commit": commit, "device": device}, {"a digest": model})


def test_it_names_the_scale_and_once_each_device_and_commit_of_all_that_the_tables_were_made_of() -> None:
    one = evaluated_with(COMMIT, "cuda NVIDIA H200")
    assert provenance_line("80 epochs", [one, one]) == "80 epochs; cuda NVIDIA H200; commit 0123456789"
    two = [one, evaluated_with("b" * 40 + "-dirty", "cpu AMD EPYC")]
    assert (
        provenance_line("80 epochs", two) == "80 epochs; cpu AMD EPYC; cuda NVIDIA H200; commits 0123456789, bbbbbbbbbb-dirty"
    )
    assert provenance_line("80 epochs", [Provenance({"commit": "unknown"}, {})]) == "80 epochs; commit unknown"
