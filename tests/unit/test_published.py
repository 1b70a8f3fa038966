"""What is published of a run: copies of its small files, and the page that says what made them."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from advtrain.report.published import LARGEST, about_page, copy
from advtrain.results.provenance import Provenance
from advtrain.system.errors import InputError

VERSIONS = {"versions": {"python": "3.12", "torch": "2.11"}}
MODEL = {"commit": "aaa", "device": "cuda NVIDIA H200", "cuda": "13.0", "threads": 1, **VERSIONS}
TABLES = [Provenance({"commit": commit, **VERSIONS}, {"a digest": MODEL}) for commit in ("bbb-dirty", "aaa")]
CONFIG: dict[str, Any] = {
    "training": {"epochs": 80, "seeds": [0, 1]},
    "datasets": {"mnist": {"title": "MNIST", "epsilon": 0.3, "sha256": {"images": "0123abcd"}}},
    "defenses": {"atda": {"title": "ATDA", "training": {"method": "atda", "batch_size": 32}}},
    "variants": {"choices": [{"name": f"choice_{n}", "training": {"batch_size": n, "epochs": n}} for n in range(20)]},
}


def test_a_file_is_copied_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\x00table")
    copy(tmp_path / "a", tmp_path / "docs" / "b")
    assert (tmp_path / "docs" / "b").read_bytes() == b"\x00table"


def test_a_file_that_is_too_large_for_a_repository_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(LARGEST + 1))
    with pytest.raises(InputError, match=r"1,000,001 bytes are more than the 1,000,000"):
        copy(tmp_path / "a", tmp_path / "b")
    assert not (tmp_path / "b").exists()


@pytest.fixture(scope="module")
def page() -> str:
    return about_page(TABLES, CONFIG, "snakemake -- publish")


def test_the_page_has_the_command_and_once_each_commit_and_device_of_all_that_the_files_were_made_of(page: str) -> None:
    made, _ = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    found = yaml.safe_load(made)
    assert (found["command"], found["commits"]) == ("snakemake -- publish", ["aaa", "bbb-dirty"])
    assert (found["devices"], found["versions"]) == (["cuda NVIDIA H200"], ["python 3.12, torch 2.11"])


def test_the_page_has_every_setting_departures_of_a_defense_among_them_but_no_hash_of_data(page: str) -> None:
    _, settings = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert yaml.safe_load(settings) == {**CONFIG, "datasets": {"mnist": {"title": "MNIST", "epsilon": 0.3}}}


def test_no_line_of_the_page_is_too_long_to_read(page: str) -> None:
    assert max(map(len, page.splitlines())) <= 160
