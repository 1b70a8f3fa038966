import os
import pickle
from pathlib import Path

import pytest
import torch

from advtrain.results import checkpoint
from advtrain.system.errors import InputError

IDENTITY = {"epsilon": 0.3, "schedule": ((0, 1), (40, 0.1))}
WEIGHTS = {"0.weight": torch.arange(30.0), "0.bias": torch.ones(5)}


def is_unchanged(state: dict) -> bool:
    (found,) = state["finished"].values()
    return found.keys() == WEIGHTS.keys() and all(torch.equal(found[name], WEIGHTS[name]) for name in WEIGHTS)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    checkpoint.save_state(tmp_path / "c", IDENTITY, {"finished": {0: WEIGHTS}})
    return tmp_path / "c"


def test_what_was_saved_is_loaded_by_us_and_by_torch_alone_and_equal_content_is_equal_bytes(saved: Path) -> None:
    whole = saved.read_bytes()
    assert is_unchanged(checkpoint.load_if_same(saved, IDENTITY))
    assert is_unchanged(torch.load(saved, weights_only=True)["state"])
    checkpoint.save_state(saved, IDENTITY, {"finished": {0: WEIGHTS}})
    assert saved.read_bytes() == whole


class Evil:
    def __reduce__(self) -> tuple:
        return (os.mkdir, ("evil",))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_file_of_anything_else_is_refused_by_name_and_runs_no_code(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(saved.parent)
    whole = saved.read_bytes()
    checkpoint.save(saved, {"weights": Evil()})
    for content in (saved.read_bytes(), b"", b"nonsense", pickle.dumps({"a": 1}), whole[: len(whole) // 2]):
        saved.write_bytes(content)
        with pytest.raises(InputError, match="c: damaged, or not a file of tensors"):
            checkpoint.load(saved)
    assert not Path("evil").exists()


def test_a_flipped_byte_is_refused_or_changes_nothing_that_is_read(saved: Path) -> None:
    """A sample of the content, and all of the archive's directory, which has no checksum."""
    whole = saved.read_bytes()
    directory, harmless = whole.index(b"PK\x01\x02"), 0
    for place in (*range(0, directory, 5), *range(directory, len(whole))):
        saved.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            assert is_unchanged(checkpoint.load_if_same(saved, IDENTITY)), place
        except InputError:
            continue
        harmless += 1
    assert harmless < len(whole) / 5, "most of a file is read"


def test_a_checkpoint_of_another_configuration_is_refused_with_the_difference(saved: Path) -> None:
    assert checkpoint.load_if_same(saved.with_name("none"), IDENTITY) is None, "there may be none"
    with pytest.raises(InputError, match=r"\(epsilon was 0.3, is 0.2; tf32 was None, is True\)"):
        checkpoint.load_if_same(saved, {**IDENTITY, "epsilon": 0.2, "tf32": True})


def test_a_good_file_is_not_called_bad_where_memory_does_not_suffice(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "load", lambda *arguments, **options: torch.empty(1 << 55))
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        checkpoint.load(saved)
