"""A real Slurm of one node on this machine, with a GPU that is none, for as long as a test module runs.

It needs root: job steps that the executor plugin starts look for the configuration nowhere but in /etc/slurm. One that is there
already is left alone; this Slurm has another munge, key and ports.
"""

import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock

from processes import wait_until

COMMANDS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol")
FILES = (Path("/etc/slurm/slurm.conf"), Path("/etc/slurm/gres.conf"))
MARK = "# Written by tests/faults/slurm_node.py, which removes it when its tests have run.\n"
LOCK = Path("/run/lock/slurm-node-of-tests.lock")
PARTITION, NODE, GPU_MODEL, CPUS = "test", "node", "a100", 4

SLURM_CONF = f"""\
ClusterName=test
SlurmctldHost=localhost
SlurmctldPort={{controller_port}}
SlurmdPort={{node_port}}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={{folder}}/munge.socket
StateSaveLocation={{folder}}/state
SlurmdSpoolDir={{folder}}/spool
SlurmctldPidFile={{folder}}/slurmctld.pid
SlurmdPidFile={{folder}}/slurmd.pid
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ProctrackType=proctrack/pgid
GresTypes=gpu
ReturnToService=2
KillWait=3
MinJobAge=86400
SchedulerParameters=sched_interval=2,batch_sched_delay=0,bf_interval=2
NodeName={NODE} NodeHostname={{host}} NodeAddr=localhost CPUs={CPUS} RealMemory=65536 Gres=gpu:{GPU_MODEL}:1
PartitionName={PARTITION} Nodes={NODE} Default=NO MaxTime=INFINITE
"""
GRES_CONF = f"NodeName={NODE} Name=gpu Type={GPU_MODEL} Count=1 File=/dev/null\n"


def missing() -> str:
    """What keeps this Slurm from being started here; empty where nothing does."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a Slurm of one node is started on Linux and as root only"
    if absent := [command for command in COMMANDS if shutil.which(command) is None]:
        return f"not installed: {', '.join(absent)}"
    foreign = [str(file) for file in FILES if file.exists() and not file.read_text().startswith(MARK)]
    return f"this machine has another Slurm: {', '.join(foreign)}" if foreign else ""


def run(*command: str) -> str:
    """The output of a command of Slurm's."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def jobs(folder: Path) -> list[dict[str, str]]:
    """What the controller knows of the jobs of the workflow in `folder` that have started, in the order of submission.

    `rule` is added, from the plugin's comment, and `gpus`, all that a job has asked for, such as gres:gpu:a100:1.
    """
    lines = run("scontrol", "--oneliner", "show", "job").splitlines()
    found = [dict(re.findall(r"(\S+?)=(\S*)", line)) for line in lines if line.startswith("JobId=")]
    for job in found:
        job["rule"] = job["Comment"].removeprefix("rule_").partition("_wildcards_")[0]
        job["gpus"] = ",".join(value for name, value in job.items() if name.startswith("TresPer"))
    started = [job for job in found if job["JobState"] != "PENDING" and job["WorkDir"] == str(folder)]
    return sorted(started, key=lambda job: int(job["JobId"]))


@contextmanager
def _daemon(folder: Path, *command: str) -> Iterator[None]:
    """A daemon in the foreground of a new session; this process alone is stopped at the end."""
    with (folder / f"{command[0]}.out").open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _configure(folder: Path) -> None:
    """Write the configuration, with ports that are free, and what the daemons need in `folder`."""
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("localhost", 0))
        ports = {"controller_port": one.getsockname()[1], "node_port": other.getsockname()[1]}
    for file, text in zip(FILES, (SLURM_CONF, GRES_CONF), strict=True):
        file.parent.mkdir(exist_ok=True)
        file.write_text(MARK + text.format(folder=folder, host=socket.gethostname(), **ports))
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "munge.key").touch(mode=0o600)
    (folder / "munge.key").write_bytes(secrets.token_bytes(128))


def _is_idle() -> bool:
    shown = subprocess.run(["scontrol", "show", "node", NODE], capture_output=True, text=True, check=False)
    return "State=IDLE " in shown.stdout


@contextmanager
def running_slurm(folder: Path) -> Iterator[None]:
    """Start a Slurm of one node, its state and logs in an empty folder; stop and remove what was started and written."""
    munge = [f"--{option}-file={folder}/munge.{option}" for option in ("key", "pid", "log", "seed")]
    with ExitStack() as stack:
        stack.enter_context(FileLock(LOCK))
        for file in FILES:
            stack.callback(file.unlink, missing_ok=True)
        _configure(folder)
        # --force: the socket lies where only root can reach it, which is who needs it.
        stack.enter_context(_daemon(folder, "munged", "--foreground", "--force", f"--socket={folder}/munge.socket", *munge))
        wait_until((folder / "munge.socket").exists, "munge's socket")
        stack.enter_context(_daemon(folder, "slurmctld", "-D"))
        stack.enter_context(_daemon(folder, "slurmd", "-D", "-N", NODE))
        wait_until(_is_idle, f"an idle node (see {folder})")
        yield
        run("scancel", "--user=root")
        wait_until(lambda: not run("squeue", "--noheader"), "an empty queue")
