import io

import pytest

from advtrain.training.plan import EpochRecord
from cli import progress
from cli.progress import Progress


class Gone(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def show(console: io.StringIO, epochs: int, seeds: int = 1, trained: int = 0) -> tuple[list[str], list[str]]:
    """What the log and the console say of a training, whose first epochs an earlier run may have trained."""
    shown = Progress("mnist/proposed", epochs, seeds, log := io.StringIO(), console)
    for done in range(trained + 1, epochs * seeds + 1):
        shown(EpochRecord((done - 1) // epochs, (done - 1) % epochs + 1, 0.5, 0.9, 0.8, 0.7, 60.0), done)
    return log.getvalue().splitlines(), console.getvalue().splitlines()


@pytest.mark.parametrize(("epochs", "seeds", "milestones"), [(20, 1, 10), (80, 5, 10), (3, 1, 3), (15, 1, 10)])
def test_the_log_has_a_line_an_epoch_and_the_console_one_a_tenth(epochs: int, seeds: int, milestones: int) -> None:
    log, console = show(io.StringIO(), epochs, seeds)
    assert (len(log), len(console)) == (epochs * seeds, milestones)


@pytest.mark.parametrize("trained", [0, 5])
def test_a_line_tells_cell_seed_epoch_accuracies_and_the_time_left(trained: int, monkeypatch: pytest.MonkeyPatch) -> None:
    minutes = iter(range(0, 10**6, 60))
    monkeypatch.setattr(progress.time, "perf_counter", lambda: float(next(minutes)))
    log, console = show(io.StringIO(), 10, trained=trained)
    for words in ("mnist/proposed", "seed 0", "epoch 7/10", "0.5000", "90.0%", "80.0%", "70.0%", "0:03:00"):
        assert words in log[6 - trained]
    assert console[6 - trained] == f" 70% of {log[6 - trained]}"


def test_a_console_that_is_gone_does_not_end_a_training() -> None:
    log, _ = show(Gone(), 2)
    assert len(log) == 2
