"""Data and models for all tests."""

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from torch import nn

from advtrain import defenses
from advtrain.data.examples import Examples
from synthetic import synthetic_cifar10, synthetic_images


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that need the finished run go first: in a parallel run the others fill the time that it takes."""
    items.sort(key=lambda item: not {"finished_run", "finished"} & set(getattr(item, "fixturenames", ())))


if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read when Triton is first imported, by whatever test
torch.set_num_threads(1)  # the models are tiny, and several tests run at once
settings.register_profile("busy machine", settings(), deadline=None)
settings.load_profile("busy machine")


@pytest.fixture(autouse=True)
def closed_figures() -> Iterator[None]:
    """Close what a test has drawn: matplotlib warns where many figures are open."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture
def examples() -> Examples:
    images, labels = synthetic_images(96, seed=0)
    return Examples(torch.from_numpy(images).unsqueeze(1).float() / 255, torch.from_numpy(labels).long())


@pytest.fixture
def colour_examples() -> Examples:
    images, labels = synthetic_cifar10(40, seed=0)
    return Examples(torch.from_numpy(images).float() / 255, torch.from_numpy(labels).long())


@pytest.fixture
def smooth_model() -> nn.Module:
    """A small random network in float64 without flat places, for comparisons to the last digits."""
    generator = torch.Generator().manual_seed(1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.Tanh(), nn.Linear(12, 10)).double()
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return model


@pytest.fixture
def random_start(monkeypatch: pytest.MonkeyPatch) -> type:
    """The method random_start, as if its file were among those of the defenses."""
    monkeypatch.setattr(defenses, "__path__", [*defenses.__path__, str(Path(__file__).parent / "methods")])
    found: type = importlib.import_module(f"{defenses.__name__}.random_start").RandomStart
    return found
