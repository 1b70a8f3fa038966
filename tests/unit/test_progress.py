import io

import pytest

from advtrain.training.plan import EpochRecord
from cli import progress
from cli.progress import Progress


class Gone(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize(
    ("epochs", "seeds", "trained", "tenths"), [(20, 1, 0, 10), (80, 5, 0, 10), (3, 1, 0, 3), (20, 1, 10, 5)], ids=str
)
def test_the_log_has_a_line_an_epoch_with_the_time_left_and_the_console_one_a_tenth(
    epochs: int, seeds: int, trained: int, tenths: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier run may have trained some; a console that is gone ends no training."""
    minutes = iter(range(0, 10**6, 60))
    monkeypatch.setattr(progress.time, "perf_counter", lambda: float(next(minutes)))
    log, console = io.StringIO(), io.StringIO()
    for streams in ((log, console), (Gone(), Gone())):
        show = Progress("mnist/proposed", epochs, seeds, *streams)
        for done in range(trained + 1, epochs * seeds + 1):
            show(EpochRecord((done - 1) // epochs, (done - 1) % epochs + 1, 0.5, 0.9, 0.8, *[0.7] * 4, 60.0), done)
    lines, milestones = log.getvalue().splitlines(), console.getvalue().splitlines()
    assert (len(lines), len(milestones)) == (epochs * seeds - trained, tenths)
    assert milestones[-1] == f"100% of {lines[-1]}"
    for words in ("mnist/proposed", f"seed {seeds - 1}", f"epoch {epochs - 1}/{epochs}", "0.5", "90", "80", "70", "0:01:00"):
        assert words in lines[-2]


def test_the_accuracy_of_what_a_defense_does_not_train_on_is_left_out() -> None:
    log = io.StringIO()
    Progress("mnist/fast_at", 1, 1, log, log)(EpochRecord(0, 1, 0.5, float("nan"), 0.8, *[0.7] * 4, 60.0), 1)
    assert "loss 0.5000, adversarial 80.0%, robust 70.0%, " in log.getvalue()
