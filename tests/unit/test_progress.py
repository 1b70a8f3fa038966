import io

import pytest

from cli.progress import Progress
from advtrain.training.trainer import EpochRecord


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def record(epoch: int, seed: int = 0) -> EpochRecord:
    return EpochRecord(seed, epoch, 0.5, 0.9, 0.8, 0.7, 1.0)


def run(progress: Progress, epochs: int, seeds: int) -> None:
    for done in range(1, epochs * seeds + 1):
        progress(record((done - 1) % epochs + 1, (done - 1) // epochs), done, 61.0)
    progress.close()


@pytest.mark.parametrize(("epochs", "seeds", "milestones"), [(20, 1, 10), (80, 5, 10), (3, 1, 3), (15, 1, 10)])
def test_the_log_has_a_line_an_epoch_and_the_console_one_a_tenth(epochs: int, seeds: int, milestones: int) -> None:
    log, console = io.StringIO(), io.StringIO()
    run(Progress("mnist/proposed", epochs, seeds, log, console), epochs, seeds)
    assert len(log.getvalue().splitlines()) == epochs * seeds
    assert len(console.getvalue().splitlines()) == milestones


def test_a_line_tells_cell_seed_epoch_accuracies_and_time_left() -> None:
    log, console = io.StringIO(), io.StringIO()
    run(Progress("mnist/proposed", 2, 1, log, console), 2, 1)
    expected = "mnist/proposed: seed 0, epoch 1/2, loss 0.5000, clean 90.0%, adversarial 80.0%, robust 70.0%, 0:01:01 left"
    assert log.getvalue().splitlines()[0] == expected
    assert console.getvalue().splitlines()[0] == f" 50% of {expected}"


def test_a_terminal_gets_a_bar_with_the_same_figures() -> None:
    terminal, console = Terminal(), io.StringIO()
    run(Progress("mnist/proposed", 4, 1, terminal, console), 4, 1)
    last = terminal.getvalue().rpartition("\r")[2]
    assert "mnist/proposed: 100%" in last
    assert "loss 0.5000" in last
    assert "robust 70.0%" in last
    assert console.getvalue() == ""


class Gone(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_console_that_is_gone_does_not_end_a_training() -> None:
    log = io.StringIO()
    run(Progress("mnist/proposed", 2, 1, log, Gone()), 2, 1)
    assert len(log.getvalue().splitlines()) == 2
