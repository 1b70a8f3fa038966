"""A real Slurm of one node on this machine, with a GPU that is none, for as long as a test module runs.

It needs root: job steps that the executor plugin starts look for the configuration nowhere but in /etc/slurm. One that is there
already is left alone, and so is munge's: this Slurm has a munge, a key and ports of its own.
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
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from filelock import FileLock

from processes import wait_until

COMMANDS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol")
CONFIGURATION = Path("/etc/slurm")
FILES = ("slurm.conf", "gres.conf")
MARK = "# Written by tests/faults/slurm_node.py, which removes it when its tests have run.\n"
LOCK = Path("/run/lock/slurm-node-of-tests.lock")
PARTITION = "test"
NODE = "node"
GPU_MODEL = "a100"
CPUS = 4

SLURM_CONF = """\
ClusterName=test
SlurmctldHost=localhost
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ProctrackType=proctrack/pgid
TaskPlugin=task/none
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
GresTypes=gpu
ReturnToService=2
KillWait=3
OverTimeLimit=0
MinJobAge=86400
SchedulerParameters=sched_interval=2,batch_sched_delay=0,bf_interval=2
NodeName={node} NodeHostname={host} NodeAddr=localhost CPUs={cpus} RealMemory=65536 Gres=gpu:{model}:1
PartitionName={partition} Nodes={node} Default=NO MaxTime=INFINITE
"""
GRES_CONF = "NodeName={node} Name=gpu Type={model} Count=1 File=/dev/null\n"


def missing() -> str:
    """What keeps this Slurm from being started here; empty where nothing does."""
    if sys.platform != "linux":
        return "a Slurm of one node needs Linux"
    if os.geteuid() != 0:
        return "a Slurm of one node is started as root only"
    if absent := [command for command in COMMANDS if shutil.which(command) is None]:
        return f"not installed: {', '.join(absent)}"
    if foreign := [str(file) for file in _files() if file.exists() and not file.read_text().startswith(MARK)]:
        return f"this machine has a Slurm of its own: {', '.join(foreign)}"
    return ""


def _files() -> list[Path]:
    return [CONFIGURATION / name for name in FILES]


@dataclass(frozen=True)
class Job:
    """What the controller knows of a job."""

    number: str
    rule: str
    cell: str
    state: str
    start: datetime
    end: datetime
    gpus: int
    fields: dict[str, str]

    def overlaps(self, other: "Job") -> bool:
        """Whether the two ran at the same time; Slurm tells whole seconds."""
        return self.start < other.end and other.start < self.end


class SlurmNode:
    """The running Slurm."""

    def jobs(self, folder: Path) -> list[Job]:
        """The jobs of the workflow in `folder` that have started, in the order of their submission."""
        shown = run("scontrol", "--oneliner", "show", "job")
        records = [dict(re.findall(r"(\S+?)=(\S*)", line)) for line in shown.splitlines() if line.startswith("JobId=")]
        started = [fields for fields in records if fields["JobState"] != "PENDING" and fields["WorkDir"] == str(folder)]
        return sorted((job_of(fields) for fields in started), key=lambda job: int(job.number))

    def cancel(self, job: Job) -> None:
        """Cancel a job, as its owner or the cluster's operator would."""
        run("scancel", job.number)

    def freeze(self, job: Job) -> None:
        """Stop a job's processes where they are, as a file system that hangs would; they stay in memory, and the clock runs."""
        run("scancel", "--signal=STOP", job.number)


def job_of(fields: dict[str, str]) -> Job:
    """A job from the fields that scontrol shows; the plugin's comment names its rule and wildcards."""
    rule, _, cell = fields["Comment"].removeprefix("rule_").partition("_wildcards_")
    # Without accounts Slurm shows what was asked for, as gres:gpu:1 or gres:gpu:a100:1.
    asked = [fields[name] for name in fields if name.startswith("TresPer")]
    gpus = sum(int(number) for number in re.findall(r"gres:gpu:(?:\w+:)?(\d+)", " ".join(asked)))
    start, end = (
        datetime.max if fields[name] == "Unknown" else datetime.fromisoformat(fields[name]) for name in ("StartTime", "EndTime")
    )
    return Job(fields["JobId"], rule, cell, fields["JobState"], start, end, gpus, fields)


def run(*command: str) -> str:
    """The output of a command of Slurm's."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("localhost", 0))
        return [each.getsockname()[1] for each in sockets]


@contextmanager
def _daemon(folder: Path, *command: str) -> Iterator[None]:
    """A daemon in the foreground of its own session; this process alone is stopped at the end."""
    with (folder / f"{command[0]}.out").open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def _configured(folder: Path) -> Iterator[None]:
    controller_port, node_port = _free_ports(2)
    values = {
        "folder": folder,
        "controller_port": controller_port,
        "node_port": node_port,
        "host": socket.gethostname(),
        "node": NODE,
        "partition": PARTITION,
        "cpus": CPUS,
        "model": GPU_MODEL,
    }
    new = not CONFIGURATION.exists()
    CONFIGURATION.mkdir(exist_ok=True)
    try:
        for file, text in zip(_files(), (SLURM_CONF, GRES_CONF), strict=True):
            file.write_text(MARK + text.format(**values))
        yield
    finally:
        for file in _files():
            file.unlink(missing_ok=True)
        if new:
            CONFIGURATION.rmdir()


def _prepare(folder: Path) -> None:
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(128))


@contextmanager
def running_slurm(folder: Path) -> Iterator[SlurmNode]:
    """Start a Slurm of one node, and stop and remove what was started and written.

    Args:
        folder: An empty folder that only root can write to, for its state and logs.

    Raises:
        AssertionError: The node was not ready in time; with what the daemons said.
    """
    munge = [f"--{option}-file={folder}/munge.{option}" for option in ("key", "pid", "log", "seed")]
    with ExitStack() as stack:
        stack.enter_context(FileLock(LOCK))
        _prepare(folder)
        stack.enter_context(_configured(folder))
        # --force: the socket lies where only root can reach it, which is who needs it.
        stack.enter_context(_daemon(folder, "munged", "--foreground", "--force", f"--socket={folder}/munge.socket", *munge))
        wait_until((folder / "munge.socket").exists, "munge's socket")
        stack.enter_context(_daemon(folder, "slurmctld", "-D"))
        stack.enter_context(_daemon(folder, "slurmd", "-D", "-N", NODE))
        try:
            wait_until(_idle, "an idle node")
        except AssertionError as error:
            raise AssertionError("\n".join(file.read_text()[-2000:] for file in folder.glob("*.out"))) from error
        try:
            yield SlurmNode()
        finally:
            run("scancel", "--user=root")
            wait_until(lambda: not run("squeue", "--noheader"), "an empty queue")


def _idle() -> bool:
    shown = subprocess.run(["scontrol", "show", "node", NODE], capture_output=True, text=True, check=False).stdout
    return "State=IDLE " in shown
