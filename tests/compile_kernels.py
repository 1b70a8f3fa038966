"""Compile every kernel as the product launches it, for the compute capability given, without a GPU; prints a line for each.

PYTHONPATH=src python tests/compile_kernels.py 90
"""

import sys
from typing import Any

import torch
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.compiler import compile as compile_for
from triton.runtime.jit import JITFunction

from advtrain.attacks.gradient import cross_entropy
from advtrain.fast.adam import Adam
from advtrain.fast.madry_cnn import MadryCnn
from advtrain.fast.small_cnn import SmallCnn
from advtrain.networks.plain import new_network

TYPES = {torch.float32: "*fp32", torch.int64: "*i64", torch.int8: "*i8"}


def type_of(value: Any) -> Any:
    """Triton's name for the type of an argument; of a tuple a tuple of them."""
    if isinstance(value, tuple):
        return tuple(type_of(entry) for entry in value)
    return TYPES[value.dtype] if isinstance(value, Tensor) else {int: "i32", float: "fp32"}[type(value)]


def main(capability: int) -> None:
    compiled = set()

    def run(kernel: JITFunction[Any], *args: Any, grid: Any, warmup: bool, **options: Any) -> None:
        given = dict(zip(kernel.arg_names, args, strict=False))
        constants = {name: options.pop(name) for name in kernel.arg_names if name in options}
        signature = {name: type_of(value) for name, value in given.items()} | dict.fromkeys(constants, "constexpr")
        places = [(i,) for i, name in enumerate(given) if isinstance(given[name], Tensor) or name == "Bp"]
        places += [(i, j) for i, value in enumerate(given.values()) if isinstance(value, tuple) for j in range(len(value))]
        aligned = {place: [["tt.divisibility", 16]] for place in places}
        case = (kernel, *constants.items())
        if case not in compiled:
            compiled.add(case)
            source = ASTSource(fn=kernel, signature=signature, constexprs=constants, attrs=aligned)
            found = compile_for(source, target=GPUTarget("cuda", capability, 32), options=options)
            print(form.__name__, kernel.__name__, constants, options, f"shared memory {found.metadata.shared}", flush=True)

    JITFunction.run = run
    for form, name, images in ((SmallCnn, "small_cnn", 64), (SmallCnn, "small_cnn", 4096), (MadryCnn, "madry_cnn", 64)):
        network = new_network(name)
        x, y = torch.zeros(images, 1, 28, 28, requires_grad=True), torch.zeros(images, dtype=torch.int64)
        seen = form(network)
        cross_entropy(seen(x), y).sum().backward()
        Adam(network.parameters()).step()
        seen.frozen().ascend(x, x, y, epsilon=0.3, step_size=0.03)


if __name__ == "__main__":
    main(int(sys.argv[1]))
