"""The library without the workflow: installed into an environment of its own, and used with other libraries' attacks."""

import importlib.util
import os
import re
import shutil
import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest
import torch

import advtrain
from advtrain.networks.plain import initialise, new_network, predict, small_cnn
from advtrain.networks.trained import content
from advtrain.results import checkpoint
from advtrain.system.errors import InputError
from workspace import REPOSITORY

CELL = "results/mnist/proposed"
EXAMPLE = "\n".join(re.findall(r"^ {4}(.*)", str(advtrain.__doc__), re.MULTILINE))
"""The lines of the package's docstring."""
MISSING = [name for name in ("pip", "setuptools", "torchattacks") if importlib.util.find_spec(name) is None]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder with the model of a cell that was trained with seeds 0 and 3."""
    weights = {}
    for seed in (0, 3):
        network = small_cnn()
        initialise(network, torch.Generator().manual_seed(seed))
        weights[seed] = network.state_dict()
    checkpoint.save(tmp_path / "results/models/mnist/proposed.pt", content("small_cnn", weights))
    return tmp_path


def test_a_trained_classifier_is_loaded_by_its_cell_and_seed_in_evaluation_mode(run: Path) -> None:
    trained = checkpoint.load(run / "results/models/mnist/proposed.pt")["weights"]
    for seed in (0, 3):
        classifier = advtrain.load(run / CELL, seed=seed)
        assert not any(module.training for module in classifier.modules())
        assert all(torch.equal(weight, trained[str(seed)][name]) for name, weight in classifier.state_dict().items())
    assert predict(classifier, torch.rand(2, 1, 28, 28)).shape == (2, 10)


def test_a_cell_may_be_named_by_its_evaluation_table(run: Path) -> None:
    one, other = (advtrain.load(run / f"{CELL}{suffix}", seed=3) for suffix in ("", ".parquet"))
    x = torch.rand(2, 1, 28, 28)
    assert torch.equal(one(x), other(x))


def test_a_user_s_own_network_is_found_from_where_the_results_are_or_named(
    run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (run / "config").mkdir()
    (run / "config" / "net.py").write_text(
        "import torch\nflat = lambda: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))"
    )
    monkeypatch.chdir(run)
    weights = {0: new_network("config/net.py:flat").state_dict()}
    checkpoint.save(run / "results/models/mnist/mine.pt", content("config/net.py:flat", weights))
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert advtrain.load(run / "results/mnist/mine", seed=0)(torch.rand(2, 1, 28, 28)).shape == (2, 10)
    (run / "config" / "net.py").unlink()
    with pytest.raises(InputError, match=re.escape("the file of its network config/net.py:flat is neither")):
        advtrain.load(run / "results/mnist/mine", seed=0)


@pytest.mark.parametrize(
    ("cell", "seed", "said"),
    [
        (CELL, 1, "results/mnist/proposed: seed 1 was not trained; there are 0, 3"),
        ("results/mnist/trades", 0, "results/models/mnist/trades.pt: no such file"),
        ("proposed", 0, "models/proposed.pt: no such file"),
    ],
)
def test_a_cell_or_seed_that_was_not_trained_is_named(
    cell: str, seed: int, said: str, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run)
    with pytest.raises(InputError, match=re.escape(said)):
        advtrain.load(cell, seed=seed)


@pytest.mark.skipif(bool(MISSING), reason=f"not installed here, and not to be had without a network: {', '.join(MISSING)}")
def test_pip_install_gives_the_library_alone_and_the_example_of_its_docstring_runs(run: Path) -> None:
    """In a fresh environment on top of this one's packages, so that torch is not installed again."""
    own = run / "environment"
    venv.create(own, with_pip=False, symlinks=True)
    python = own / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(own)}))
    (site / "these.pth").write_text(sysconfig.get_path("purelib"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

    def do(*command: str | Path) -> str:
        done = subprocess.run(command, cwd=run, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    offline = ("--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    source = run / "clone"  # pip builds where the source is
    shutil.copytree(REPOSITORY / "src", source / "src")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    do(python, "-m", "pip", "install", *offline, source)
    assert {path.name for path in site.iterdir() if path.suffix not in (".pth", ".dist-info")} == {"advtrain"}
    checks = [
        "import torch",
        "x, y = torch.rand(4, 1, 28, 28), torch.arange(4)",
        EXAMPLE,
        "assert 0 < (x_adv - x).abs().max() <= 0.3 + 1e-6",
        f"assert advtrain.__file__.startswith({str(site)!r})",
        "from advtrain.attacks.gradient import bim",
        "from advtrain.defenses.proposed import Proposed",
        "print(bim.__doc__, Proposed.__doc__, advtrain.load.__doc__)",
    ]
    assert "None" not in do(python, "-W", "ignore", "-c", "\n".join(checks))
