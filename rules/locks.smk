"""After a kill the next run just goes on: Snakemake's locks are cleared if no process of an earlier run is left.

Each Snakemake in this folder, those of a cluster's jobs too, holds the operating system's lock on one file until it ends, however
it ends, and shares it with the others. If a new run can have that lock alone, what Snakemake has locked is of a run that was
killed. Otherwise Snakemake's own locks decide, and say so. A file system without such locks leaves them as they are.
"""

import contextlib
import fcntl
from pathlib import Path

from snakemake.logging import logger

LOCKS = Path(".snakemake/locks")


def clear_if_alone(running):
    """Remove Snakemake's locks if no other process has `running` locked."""
    with contextlib.suppress(OSError):
        fcntl.flock(running, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for lock in LOCKS.glob("*.lock"):
            lock.unlink()
            logger.warning("Cleared {}, which a run that was killed has left.".format(lock))


LOCKS.parent.mkdir(exist_ok=True)
RUNNING = LOCKS.with_name("running").open("ab")
if workflow.is_main_process:
    clear_if_alone(RUNNING)
with contextlib.suppress(OSError):
    fcntl.flock(RUNNING, fcntl.LOCK_SH)
