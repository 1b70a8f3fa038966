import os

import pytest
import torch

from advtrain.system.device import make_deterministic, numerics, prepare_device, select_device
from advtrain.system.errors import InputError


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"), [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_auto_takes_cuda_else_mps_else_the_cpu(cuda: bool, mps: bool, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert select_device("auto").type == expected


def test_a_device_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"device 'cuda' is not on this machine; there is .*cpu"):
        select_device("cuda")


def test_on_a_cpu_nothing_global_is_switched() -> None:
    before = numerics(torch.device("cpu"))
    assert prepare_device("cpu").type == "cpu"
    assert numerics(torch.device("cpu")) == before


def test_another_device_computes_deterministically_and_without_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    try:
        make_deterministic(torch.device("cuda"))
        found = numerics(torch.device("cpu"))
        assert (found["deterministic"], found["tf32"]) == (True, False)
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    finally:
        torch.use_deterministic_algorithms(False)
