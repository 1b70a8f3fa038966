"""After a kill the next run just goes on: Snakemake's locks are cleared if no process of an earlier run is left.

Each process that runs jobs in this folder holds the operating system's lock on one file, shared with the others, until it ends,
however it ends. Who can have that lock alone is the first to come, and what Snakemake has locked is then of a run that was
killed. Otherwise Snakemake's own locks decide, and say so. A file system without such locks leaves them as they are.
"""

import fcntl
from pathlib import Path

from snakemake.logging import logger

LOCKS = Path(".snakemake/locks")


def hold_running():
    """The open file whose lock tells that this run lives; Snakemake's locks are cleared if no other run does."""
    LOCKS.parent.mkdir(exist_ok=True)
    running = LOCKS.with_name("running").open("ab")
    try:
        fcntl.flock(running, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for lock in LOCKS.glob("*.lock"):
            lock.unlink()
            logger.warning("Cleared {}, which a run that was killed has left.".format(lock))
    except OSError:
        pass
    try:
        fcntl.flock(running, fcntl.LOCK_SH)
    except OSError:
        pass
    return running


RUNNING = hold_running()
