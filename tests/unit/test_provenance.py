"""What made a result: settings, commit, versions and numerics, and the same of all that it was made of."""

import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pyarrow as pa
import pytest
import torch

from advtrain.results.code import SRC
from advtrain.results.parquet import read_provenance, read_provenances, read_table, write_table
from advtrain.results.provenance import made_by
from advtrain.system.device import device_settings, numerics
from trainings import PLAN

CPU = torch.device("cpu")
SAY_COMMIT_TWICE = """
from advtrain.results.provenance import made_by
for _ in range(2):
    print(made_by({}).record["commit"], flush=True)
    input()
"""
COMMITTED = ["src/advtrain/__init__.py", "config/config.yaml", "docs/results/paper/table1.md", "README.md"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the module in it, of which `commit` makes a git repository."""
    for name in (*COMMITTED, "src/advtrain/results/__init__.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("# as committed")
    (tmp_path / ".gitignore").write_text("__pycache__/")
    (tmp_path / "src/advtrain/results/provenance.py").write_text((SRC / "advtrain/results/provenance.py").read_text())
    return tmp_path


def commit(checkout: Path) -> None:
    for command in ("init -q", "add .", "-c user.name=a -c user.email=a@b commit -qm message"):
        subprocess.run(["git", *command.split()], cwd=checkout, check=True)


def commits(checkout: Path, meanwhile: Callable[[], object] = lambda: None) -> list[str]:
    """The commit that a process names twice, and what is done in between."""
    command, pipe = [sys.executable, "-c", SAY_COMMIT_TWICE], subprocess.PIPE
    with subprocess.Popen(command, cwd=checkout / "src", stdin=pipe, stdout=pipe, text=True) as process:
        first = process.stdout.readline()
        meanwhile()
        rest, _ = process.communicate("\n\n")
    return (first + rest).split()


def test_the_commit_is_the_one_at_the_start_of_the_process(checkout: Path) -> None:
    def edit_and_commit() -> None:
        (checkout / "config/config.yaml").write_text("changed")
        commit(checkout)
        (checkout / "config/config.yaml").write_text("changed again")

    assert commits(checkout, edit_and_commit) == ["unknown"] * 2, "there was no repository"
    dirty, still_dirty = commits(checkout, lambda: commit(checkout))
    clean, still_clean = commits(checkout, edit_and_commit)
    assert (still_dirty, still_clean) == (dirty, clean)
    assert dirty.endswith("-dirty")
    assert len(clean) == 40
    assert not dirty.startswith(clean)


def test_the_commit_is_told_whoever_owns_the_checkout(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(checkout)
    (own, _) = commits(checkout)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    refused = subprocess.run(["git", "status"], cwd=checkout, capture_output=True, text=True, check=False)
    assert "dubious ownership" in refused.stderr
    assert commits(checkout) == [own] * 2


def test_a_copy_of_the_source_in_another_repository_does_not_take_its_commit(checkout: Path) -> None:
    source = checkout / "third_party" / "unzipped"
    source.mkdir(parents=True)
    (checkout / "src").rename(source / "src")
    commit(checkout)
    assert commits(source) == ["unknown"] * 2


def test_a_shallow_clone_has_its_commit(checkout: Path, tmp_path: Path) -> None:
    commit(checkout)
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "--depth", "1", checkout.as_uri(), clone], check=True)
    assert commits(clone) == commits(checkout)


NEW = ["src/advtrain/mine.py", "config/my.yaml", "notes.txt"]


@pytest.mark.parametrize(("changed", "marked"), [*zip([*COMMITTED, *NEW], [1, 1, 0, 0, 1, 0, 0], strict=True)])
def test_the_commit_is_marked_where_code_or_configuration_differ_from_it(changed: str, marked: int, checkout: Path) -> None:
    """A new configuration does not mark it: its settings are recorded."""
    commit(checkout)
    (checkout / changed).write_text("# changed")
    assert commits(checkout)[0].endswith("-dirty") == marked


def test_versions_threads_tf32_and_determinism_are_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made = made_by({}, numerics=numerics(CPU))
    assert made.record["device"].startswith("cpu ")
    assert made.record["threads"] == torch.get_num_threads()
    assert {"python", "torch", "numpy", "pyautoattack"} <= made.record["versions"].keys()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: True)
    changed = made_by({}, numerics=numerics(CPU))
    assert {key for key in made.record if changed.record[key] != made.record[key]} == {"threads", "deterministic"}
    assert changed.digest != made.digest
    for allowed in (True, False):
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", allowed)
        assert device_settings(torch.device("cuda"))["tf32"] is allowed
        assert device_settings(CPU)["tf32"] is False, "a CPU has none"


def test_inputs_are_stored_once_however_many_paths_lead_to_them() -> None:
    model = made_by({"epsilon": 0.3})
    evaluations = {name: made_by({"attack": name}, inputs={"model": model}) for name in ("fgsm", "bim")}
    table = made_by({}, inputs={"evaluations": made_by({}, inputs=evaluations), "again": evaluations["bim"], "model": model})
    assert len(table.others) == 4
    assert table.others[table.record["inputs"]["again"]] == evaluations["bim"].record
    for record in table.records():
        assert set(record.get("inputs", {}).values()) <= table.others.keys()


def test_a_table_reads_back_with_its_provenance_and_equal_runs_give_equal_bytes(tmp_path: Path) -> None:
    """In whatever order settings and inputs are named, and wherever the file is."""
    inputs = {name: made_by({name: 1}) for name in ("strong", "sweep")}
    made = made_by({"epsilon": 0.3, "seeds": [0, 1]}, numerics=numerics(CPU), inputs=inputs)
    again = made_by({"seeds": [0, 1], "epsilon": 0.3}, numerics=numerics(CPU), inputs=dict(reversed(inputs.items())))
    table = pa.table({"accuracy": [0.75, 0.5], "defense": ["atda", "proposed"]})
    files = [tmp_path / "mnist" / "t.parquet", tmp_path / "u.parquet"]
    for file, provenance in zip(files, (made, again), strict=True):
        write_table(table, file, provenance)
        assert read_table(file).to_pydict() == table.to_pydict()
        assert read_provenance(file) == made
    assert files[0].read_bytes() == files[1].read_bytes()
    assert read_provenances(files[:1]) == {"mnist/t": made}


def test_a_table_of_the_whole_run_is_small(tmp_path: Path) -> None:
    """84 rows: seven checks of each of twelve models, which were evaluated by four scripts and audited."""
    bits, audited = numerics(CPU), {}
    for cell in product(("mnist", "fmnist"), ("vanilla", "fgsm_adv", "atda", "proposed", "bim10_adv", "bim30_adv")):
        settings = {"dataset": cell[0], "defense": cell[1], "epsilon": 0.3, "examples": 10_000, "subset_seed": 0}
        model = {"model": made_by({**vars(PLAN), **settings}, numerics=bits)}
        attacks = ({**settings, "attack": name, "iterations": [1, 2, 5, 10, 30]} for name in ("sweep", "trace", "pgd", "aa"))
        tables = {attack["attack"]: made_by(attack, numerics=bits, inputs=model) for attack in attacks}
        audited["/".join(cell)] = made_by(settings, numerics=bits, inputs={**model, "all": made_by({}, inputs=tables)})
    made = made_by({"scale": "small_cnn, 80 epochs, 60,000 images"}, inputs=audited)
    assert len(made.others) > 80
    rows = {"cell": sorted(audited) * 7, "check": [f"check {n // 12}" for n in range(84)], "value": [n / 84 for n in range(84)]}
    write_table(pa.table(rows), tmp_path / "audit.parquet", made)
    assert (tmp_path / "audit.parquet").stat().st_size < 60_000
