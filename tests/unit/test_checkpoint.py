import os
import pickle
import resource
from pathlib import Path

import pytest
import torch

from advtrain.results.parquet import checkpoint
from advtrain.system.errors import InputError

CONTENT = {"weights": {"0": torch.arange(4.0)}, "epoch": 3, "network": "small_cnn"}


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "model.pt", CONTENT)
    loaded = checkpoint.load(tmp_path / "model.pt")
    assert torch.equal(loaded["weights"]["0"], CONTENT["weights"]["0"])
    assert loaded["epoch"] == 3


def test_others_load_it_with_torch_alone(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "model.pt", CONTENT)
    loaded = torch.load(tmp_path / "model.pt", weights_only=True)
    assert torch.equal(loaded["weights"]["0"], CONTENT["weights"]["0"])


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "a.pt", CONTENT)
    checkpoint.save(tmp_path / "b.pt", CONTENT)
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()


class Evil:
    def __reduce__(self) -> tuple:
        return (os.mkdir, ("evil",))


def test_a_file_that_would_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoint.save(Path("model.pt"), {"weights": Evil()})
    with pytest.raises(InputError, match=r"model\.pt: not a file of tensors"):
        checkpoint.load(Path("model.pt"))
    assert not Path("evil").exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("content", [b"", b"nonsense", pickle.dumps({"a": 1})])
def test_a_file_of_anything_else_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.pt").write_bytes(content)
    with pytest.raises(InputError, match=r"model\.pt"):
        checkpoint.load(tmp_path / "model.pt")


def test_a_file_cut_short_is_refused_by_name(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "model.pt", CONTENT)
    whole = (tmp_path / "model.pt").read_bytes()
    (tmp_path / "model.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"model\.pt: damaged"):
        checkpoint.load(tmp_path / "model.pt")


def test_there_may_be_no_checkpoint(tmp_path: Path) -> None:
    assert checkpoint.load_if_same(tmp_path / "none", {"epochs": 3}) is None


def test_a_checkpoint_of_another_configuration_is_refused_with_the_difference(tmp_path: Path) -> None:
    checkpoint.save_state(tmp_path / "c", {"epochs": 3, "epsilon": 0.3}, {"epoch": 1})
    assert checkpoint.load_if_same(tmp_path / "c", {"epochs": 3, "epsilon": 0.3}) == {"epoch": 1}
    with pytest.raises(InputError, match=r"another configuration \(epochs was 3, is 4\); delete it to start afresh"):
        checkpoint.load_if_same(tmp_path / "c", {"epochs": 4, "epsilon": 0.3})


def test_the_code_digest_tells_defenses_apart() -> None:
    assert checkpoint.code_digest("proposed") != checkpoint.code_digest("atda")
    assert checkpoint.code_digest("proposed") == checkpoint.code_digest("proposed")


def test_a_full_disk_leaves_the_old_checkpoint_and_nothing_else(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "c", {"epoch": 1})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            checkpoint.save(tmp_path / "c", {"weights": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert checkpoint.load(tmp_path / "c") == {"epoch": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["c"]


def test_a_good_file_is_not_called_bad_where_memory_does_not_suffice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.save(tmp_path / "model.pt", CONTENT)
    monkeypatch.setattr(torch, "load", lambda *arguments, **options: torch.empty(1 << 55))
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        checkpoint.load(tmp_path / "model.pt")
