import os

import pytest
import torch

from advtrain.system.device import make_deterministic, no_place_twice, numerics, prepare_device, select_device
from advtrain.system.errors import InputError

CPU = torch.device("cpu")


@pytest.mark.parametrize(("cuda", "mps"), [(True, True), (True, False), (False, True), (False, False)])
def test_auto_takes_cuda_else_mps_else_the_cpu(cuda: bool, mps: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert select_device("auto").type == ("cuda" if cuda else "mps" if mps else "cpu")
    if not mps:
        with pytest.raises(InputError, match=r"device 'mps' is not on this machine; there is .*cpu"):
            select_device("mps")


@pytest.mark.parametrize("mode", [0, 1])
def test_a_write_without_a_place_twice_is_not_sorted_and_all_else_as_deterministic_as_before(mode: int) -> None:
    try:
        torch.set_deterministic_debug_mode(mode)
        with pytest.raises(InputError), no_place_twice():
            assert not torch.are_deterministic_algorithms_enabled()
            raise InputError("the mode comes back after an error too")
        assert torch.get_deterministic_debug_mode() == mode
    finally:
        torch.set_deterministic_debug_mode("default")


def test_what_is_not_a_cpu_computes_deterministically_and_without_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    before = numerics(CPU)
    assert prepare_device("cpu") == CPU
    assert numerics(CPU) == before
    try:
        make_deterministic(torch.device("cuda"))
        assert numerics(CPU) == {**before, "deterministic": True, "tf32": False}
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    finally:
        torch.use_deterministic_algorithms(False)
