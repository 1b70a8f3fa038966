"""One run in a folder at a time, and after a kill the next one just goes on.

A run holds the operating system's lock on .snakemake/run, a cluster's jobs share the one on .snakemake/jobs, each until its
process ends, however it ends. Where nobody has either, what Snakemake has locked is of a run that was killed, and is cleared.
Snakemake's own locks are by file: they would let two runs of different files go on, and the first to end would free both.
On a file system without such locks Snakemake's are all there is.
"""

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
STATE.mkdir(exist_ok=True)
LEFT = list(STATE.glob("locks/*.lock"))


def locked(name, operation):
    """The open file .snakemake/{name} with the lock, or why there is none."""
    file = STATE.joinpath(name).open("a+")
    try:
        fcntl.flock(file, operation | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        return None, error.errno
    return file, 0


def clear_locks_of_the_dead():
    """Remove Snakemake's locks if no run is left that has made them.

    Some file systems keep such locks from other machines; so the last run must have been on this one.
    """
    run, _ = locked("run", fcntl.LOCK_EX)
    jobs, _ = locked("jobs", fcntl.LOCK_EX)
    if run and jobs and run.seek(0) == 0 and run.read() in ("", socket.gethostname()):
        for lock in LEFT:
            lock.unlink(missing_ok=True)
            logger.warning("Cleared {}, which a run that was killed has left.".format(lock))
    for file in filter(None, (run, jobs)):
        file.close()


def begin_run():
    """Be the one run in this folder until the process ends."""
    file, reason = locked("run", fcntl.LOCK_EX)
    if reason in (errno.EAGAIN, errno.EACCES):
        raise WorkflowError("Another Snakemake runs in this folder. Wait until it ends, or work in a folder of your own.")
    if file:
        file.truncate(0)
        file.write(socket.gethostname())
        file.flush()
    return file


if not workflow.is_main_process:
    JOBS = locked("jobs", fcntl.LOCK_SH)
elif LEFT:
    clear_locks_of_the_dead()


# Not in a dry run, nor for a report.
onstart:
    global RUN
    RUN = begin_run()
