"""One run in a folder at a time, and after a kill the next one just goes on.

Every Snakemake in this folder, those of a cluster's jobs too, shares the operating system's lock on .snakemake/alive; a run has the
one on .snakemake/run for itself. Both end with the process, however it ends. Where nobody is alive, what Snakemake has locked is
of a run that was killed, and is cleared. Snakemake's own locks are by file: they would let two runs of different files go on, and
the first to end would free both. On a file system without locks of the operating system's they are all there is.
"""

import contextlib
import errno
import fcntl
import os
import socket
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

# The scripts end when the process of this number is no longer the one that started them.
os.environ.update(SNAKEMAKE_PID=str(os.getpid()))

STATE = Path(".snakemake")


def locked(name, operation):
    """The open file .snakemake/{name} with the lock, or None, and the number of the error that there was."""
    with contextlib.ExitStack() as on_error:
        try:
            STATE.mkdir(exist_ok=True)
            file = on_error.enter_context(STATE.joinpath(name).open("a+"))
            fcntl.flock(file, operation)
        except OSError as error:
            return None, error.errno
        on_error.pop_all()
        return file, 0


def clear_locks_of_the_dead():
    """Remove Snakemake's locks if no process of the run that has made them is left.

    A run on a cluster may have jobs in the queue, and some file systems do not show one machine the locks of another; so the last
    run must have been here.
    """
    alive, _ = locked("alive", fcntl.LOCK_EX | fcntl.LOCK_NB)
    if alive:
        run = STATE.joinpath("run")
        if not run.exists() or run.read_text() in ("", socket.gethostname()):
            for lock in STATE.glob("locks/*.lock"):
                lock.unlink(missing_ok=True)
                logger.warning("Cleared {}, which a run that was killed has left.".format(lock))
        alive.close()


def begin_run():
    """Be the one run in this folder until the process ends."""
    file, reason = locked("run", fcntl.LOCK_EX | fcntl.LOCK_NB)
    if reason in (errno.EAGAIN, errno.EACCES):
        raise WorkflowError("Another Snakemake runs in this folder. Wait until it ends, or work in a clone of your own.")
    if file:
        file.truncate(0)
        file.write(socket.gethostname() if workflow.local_exec else "a cluster")
        file.flush()
    return file


if workflow.is_main_process:
    clear_locks_of_the_dead()
ALIVE = locked("alive", fcntl.LOCK_SH)


# Not in a dry run, nor for a report.
onstart:
    global RUN
    RUN = begin_run()
