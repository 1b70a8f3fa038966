"""Peak memory of a fresh process that trains Proposed for a few steps: run by growth.py, prints one line of JSON."""

import itertools
import json
import re
import resource
from pathlib import Path

import click
import torch

from advtrain.system.device import prepare_device
from benchmarks.ground import load_ground

STEPS = 3


@click.command()
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Folder of MNIST's IDX files.")
@click.option("--images", required=True, type=int, help="Training images.")
@click.option("--batch-size", required=True, type=int, help="Images a step.")
@click.option("--seeds", required=True, type=int, help="Seeds trained at once.")
@click.option("--device", required=True, help="cpu or cuda.")
def main(data: Path, images: int, batch_size: int, seeds: int, device: str) -> None:
    """Print the peak memory after loading and after training, and CUDA's own, in bytes."""
    torch.set_num_threads(1)
    chosen = prepare_device(device)
    ground = load_ground(data)
    loaded = _peak()
    trainer = ground.trainer("proposed", ground.training.subset(images, 0).to(chosen), batch_size, seeds)
    for index in itertools.islice(trainer.minibatches(0), STEPS):
        trainer.run_step(index)
    on_cuda = torch.cuda.max_memory_allocated(chosen) if chosen.type == "cuda" else None
    print(json.dumps({"loaded_bytes": loaded, "peak_bytes": _peak(), "cuda_bytes": on_cuda}))


def _peak() -> int:
    """Largest resident set of this process so far, in bytes.

    Linux's `ru_maxrss` begins with that of the process that started this one, so its own count of the address space is read.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (kibibytes,) = re.findall(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.MULTILINE)
        return 1024 * int(kibibytes)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
