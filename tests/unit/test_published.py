from pathlib import Path
from typing import Any

import pytest

from advtrain.system.errors import InputError
from advtrain.report.published import LARGEST, copy, made_by

VERSIONS = {"versions": {"python": "3.12", "torch": "2.11"}}
MODEL: dict[str, Any] = {"commit": "aaa", "device": "cuda NVIDIA H200", "cuda": "13.0", **VERSIONS}
TABLE: dict[str, Any] = {"commit": "bbb-dirty", **VERSIONS, "inputs": {"mnist/proposed": MODEL}}


def test_a_file_is_copied_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\x00table")
    copy(tmp_path / "a", tmp_path / "docs" / "b")
    assert (tmp_path / "docs" / "b").read_bytes() == b"\x00table"


def test_a_file_that_is_too_large_for_a_repository_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(LARGEST + 1))
    with pytest.raises(InputError, match=r"1,000,001 bytes are more than the 1,000,000"):
        copy(tmp_path / "a", tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_the_page_tells_command_settings_commits_and_device_of_all_that_the_files_were_made_of() -> None:
    config = {"training": {"epochs": 80, "seeds": [0, 1]}, "datasets": {"mnist": {"epsilon": 0.3, "sha256": {"a": "b"}}}}
    (section,) = made_by({"table1": TABLE}, config, "snakemake -- publish")
    assert section.table is not None
    assert dict(section.table.to_numpy().tolist()) == {
        "Command": "snakemake -- publish",
        "Commit": "aaa; bbb-dirty",
        "Device": "cuda NVIDIA H200",
        "CUDA": "13.0",
        "Versions": "python 3.12, torch 2.11",
        "training.epochs": "80",
        "training.seeds": "[0, 1]",
        "datasets.mnist.epsilon": "0.3",
    }
