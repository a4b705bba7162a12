"""One mesh of devices, and how the state and the batches of training lie on it.

The program is written for one device. What changes with many of them is said here, by
parameter path and outside the modules; XLA's partitioner derives the rest.

    data     every device has rows of its own; parameters are whole on all of them
    fsdp     rows too; parameters and moments lie in parts, gathered for each update
    tensor   heads, hidden widths and the vocabulary lie in parts; rows are shared

Rajbhandari et al. 2020, "ZeRO"; Shoeybi et al. 2019, "Megatron-LM".
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.mesh_utils import create_device_mesh, create_hybrid_device_mesh
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from transformer import paths
from transformer.axes import Params
from transformer.config import ModelConfig
from transformer.errors import InputError

AXES = ("data", "fsdp", "tensor")

ROWS = ("data", "fsdp")
"""The axes over which the rows of a batch are divided."""

RULES = (
    (r"embedding/table", ("tensor", "fsdp")),
    (r"positions/table", (None, "fsdp")),
    (r"attention/(query|key|value)/kernel", ("fsdp", "tensor", None)),
    (r"attention/output/kernel", ("tensor", None, "fsdp")),
    (r"feed_forward/(hidden|gate)/kernel", ("fsdp", "tensor")),
    (r"feed_forward/hidden/bias", ("tensor",)),
    (r"feed_forward/output/kernel", ("tensor", "fsdp")),
)
"""The axis that divides each dimension of what ends in such a path. The moments of a
parameter end in its path as well. All else is whole on every device."""

Tree = TypeVar("Tree")


def sizes(text: str, devices: int) -> dict[str, int]:
    """Devices along each axis: "auto", or e.g. "data=4,tensor=2"; the rest are 1.

    Raises:
        InputError: for what is no such text.
    """
    ones: dict[str, int] = dict.fromkeys(AXES, 1)
    if text == "auto":
        return ones | {"data": devices}
    found: dict[str, int] = {}
    for part in text.split(","):
        name, _, number = part.partition("=")
        if name not in AXES or not number.isdecimal() or int(number) == 0:
            raise InputError(
                f"--mesh {text} is neither auto nor names and numbers such as data=4,"
                f"tensor=2; the axes are {', '.join(AXES)}."
            )
        if name in found:
            raise InputError(f"--mesh {text} names {name} twice.")
        found[name] = int(number)
    return ones | found


def make(text: str = "auto") -> Mesh:
    """The mesh that `--mesh` asks for, over the devices of all processes.

    Raises:
        InputError: if there are not as many devices; with several processes, also if
            there are more.
    """
    devices = jax.devices()
    shape = sizes(text, len(devices)).values()
    needed = math.prod(shape)
    if needed > len(devices) or (needed < len(devices) and jax.process_count() > 1):
        raise InputError(
            f"--mesh {text} is a mesh of {needed} devices, but there are "
            f"{len(devices)}: {', '.join(map(str, devices[:8]))}. Name numbers whose "
            "product that is, or auto."
        )
    return _mesh(shape, devices[:needed])


def alone() -> Mesh:
    """One device of this process."""
    return _mesh([1] * len(AXES), jax.local_devices()[:1])


def _mesh(shape: Iterable[int], devices: Sequence[Any]) -> Mesh:
    """The devices, near ones along the last axes.

    A slice, which is a TPU's or the GPUs of one host, has a fast network inside. The
    first axes span slices as far as they divide their number, the others stay within.
    """
    shape, kinds = tuple(shape), (AxisType.Auto,) * len(AXES)
    counts = Counter(getattr(device, "slice_index", 0) for device in devices)
    if len(set(counts.values())) > 1:  # hosts that differ have no common shape
        return Mesh(np.array(devices).reshape(shape), AXES, axis_types=kinds)
    across, left = [], len(counts)
    for size in shape:
        across.append(math.gcd(size, left))
        left //= across[-1]
    within = [size // slices for size, slices in zip(shape, across, strict=True)]
    arranged = (
        create_hybrid_device_mesh(
            within, across, devices, allow_split_physical_axes=True
        )
        if len(counts) > 1
        else create_device_mesh(shape, devices, allow_split_physical_axes=True)
    )
    return Mesh(arranged, AXES, axis_types=kinds)


def check(mesh: Mesh, cfg: ModelConfig) -> None:
    """Raises `InputError` if the network cannot be divided so."""
    divided = {"fsdp": ("dim",), "tensor": ("num_heads", "hidden_dim")}
    for axis, names in divided.items():
        for name in names:
            size = getattr(cfg, name)
            if size % mesh.shape[axis]:
                raise InputError(
                    f"--mesh {axis}={mesh.shape[axis]} does not divide "
                    f"model.{name}={size}. Choose a number that does."
                )


def groups(mesh: Mesh) -> int:
    """Into how many groups the rows of a batch are divided."""
    return mesh.shape["data"] * mesh.shape["fsdp"]


def whole(mesh: Mesh) -> NamedSharding:
    """The same on every device."""
    return NamedSharding(mesh, PartitionSpec())


def by_rows(mesh: Mesh, before: int = 0) -> NamedSharding:
    """Divided along rows, which stand behind `before` other axes."""
    return NamedSharding(mesh, PartitionSpec(*[None] * before, ROWS))


def by_devices(mesh: Mesh) -> NamedSharding:
    """An element for each device."""
    return NamedSharding(mesh, PartitionSpec(AXES))


def _spec(mesh: Mesh, path: str, shape: tuple[int, ...]) -> PartitionSpec:
    """By the first rule; a dimension that an axis does not divide stays whole.

    Of those there is one: the size of a vocabulary, which the tokenizer decides.
    """
    rule = next((axes for end, axes in RULES if re.search(f"{end}$", path)), ())
    fitting = [
        axis if axis and size % mesh.shape[axis] == 0 else None
        for axis, size in zip(rule, shape, strict=bool(rule))
    ]
    return PartitionSpec(*fitting)


def shardings(mesh: Mesh, tree: Tree) -> Tree:
    """Where each array of parameters, moments or a whole state lies between updates."""

    def place(path: Any, leaf: Any) -> NamedSharding:
        return NamedSharding(mesh, _spec(mesh, paths.name(path), leaf.shape))

    return jax.tree_util.tree_map_with_path(place, tree)


def placed(mesh: Mesh, shapes: Tree) -> Tree:
    """Shapes of arrays, with where they lie: what a checkpoint is loaded into."""
    return jax.tree.map(
        lambda leaf, place: jax.ShapeDtypeStruct(
            leaf.shape, leaf.dtype, sharding=place
        ),
        shapes,
        shardings(mesh, shapes),
    )


def gather(mesh: Mesh, params: Params) -> Params:
    """Parameters as an update computes with them: whole along fsdp."""
    return _whole_along_fsdp(mesh, params, "")


def tables_whole(mesh: Mesh, gradients: Params) -> Params:
    """Gradients with those of tables summed whole before fsdp divides them.

    They are sums over the rows of tokens. To divide them at once, XLA would gather the
    states of all tokens on every device.
    """
    return _whole_along_fsdp(mesh, gradients, "table")


def _whole_along_fsdp(mesh: Mesh, tree: Tree, pattern: str) -> Tree:
    """In a program: what has such a path is divided by tensor alone."""

    def constrained(path: Any, leaf: jax.Array, place: NamedSharding) -> jax.Array:
        if not re.search(pattern, paths.name(path)):
            return leaf
        axes = (None if axis == "fsdp" else axis for axis in place.spec)
        place = NamedSharding(mesh, PartitionSpec(*axes))
        return jax.lax.with_sharding_constraint(leaf, place)

    there = shardings(mesh, tree)
    return jax.tree_util.tree_map_with_path(constrained, tree, there)


def repeated(mesh: Mesh, tree: Tree, times: int) -> Tree:
    """In a program: each row so often, one after the other, where it was."""
    if times == 1:
        return tree

    def repeat(leaf: jax.Array) -> jax.Array:
        rows = jnp.repeat(leaf, times, axis=0)
        return jax.lax.with_sharding_constraint(rows, by_rows(mesh))

    return jax.tree.map(repeat, tree)


def filled(mesh: Mesh, rows: int) -> int:
    """`rows`, and so many empty ones that all groups are equal."""
    return -(-rows // groups(mesh)) * groups(mesh)


def held(mesh: Mesh, rows: int) -> list[int]:
    """Which rows of a batch the devices of this process hold.

    So that all groups are equal, there may be numbers from `rows` on: empty rows.
    """
    size = filled(mesh, rows) // groups(mesh)
    return [group * size + row for group in _own_groups(mesh) for row in range(size)]


@lru_cache
def _own_groups(mesh: Mesh) -> tuple[int, ...]:
    first = by_rows(mesh).addressable_devices_indices_map((groups(mesh),)).values()
    return tuple(sorted({index[0].start or 0 for index in first if index}))


def place(mesh: Mesh, tree: Tree, before: int = 0) -> Tree:
    """Puts NumPy arrays of the rows that are `held` here on the mesh, by rows.

    Args:
        before: axes before that of the rows.
    """
    sharding = by_rows(mesh, before)
    return jax.tree.map(
        lambda leaf: jax.make_array_from_process_local_data(sharding, leaf), tree
    )
