"""What the machine decides: number types, batch rows, and where programs are kept."""

import ctypes
import os
import platform
from ctypes import c_int, c_size_t, c_void_p

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jax.typing import DTypeLike

from transformer import backend, parallel, workers
from transformer.seating import Sizes
from transformer.store import cache


def dtype(precision: str) -> DTypeLike:
    """The type of the products for a `TrainingConfig.precision`."""
    if precision == "auto":
        return jnp.float32 if backend.on_cpu() else jnp.bfloat16
    return jnp.dtype(precision)


def rows() -> int:
    """Sentences of a program: enough to fill the device, few enough to wait for."""
    return 32 if backend.on_cpu() else 128


def decoding(mesh: Mesh) -> Sizes:
    """What is decoded together on these devices.

    On a CPU a program for each core: XLA gives every core a part of each operation,
    too, but those of decoding are small, and two cores bring a third less that way.
    There a sentence alone takes long, the longer the more hypotheses it is computed
    with; more than 64 would bring large files a tenth (benchmarks/RESULTS.md).
    """
    groups = parallel.groups(mesh)
    if not backend.on_cpu():
        return Sizes(rows() * groups)
    lanes = workers.cores() if mesh.size == 1 else 1
    return Sizes(rows() * groups, 64 * groups, lanes)


def description(mesh: Mesh) -> str:
    """E.g. "8 × NVIDIA H200 (cuda), fsdp 4, tensor 2", for people."""
    one = mesh.devices.flat[0]
    axes = [f", {name} {size}" for name, size in mesh.shape.items() if size > 1]
    return f"{mesh.size} × {one.device_kind} ({one.platform}){''.join(axes)}"


def keep_freed_memory() -> None:
    """Lets glibc keep what an update frees: the next one needs as much again.

    By default the temporary memory of each update is unmapped, and mapped and zeroed
    again page by page: a fifth of a small update (benchmarks/RESULTS.md).
    """
    if platform.libc_ver()[0] != "glibc":
        return
    M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8  # of malloc.h
    allocator = ctypes.CDLL(None)
    allocator.mallopt(M_MMAP_MAX, 0)
    allocator.mallopt(M_TRIM_THRESHOLD, -1)
    allocator.mallopt(M_ARENA_MAX, 1)
    _in_huge_pages(allocator)


HUGE = 1 << 21
"""Bytes of a huge page."""


def _in_huge_pages(allocator: ctypes.CDLL) -> None:
    """Asks the kernel for huge pages wherever the heap is going to grow.

    Small ones are looked up so often that updates take up to a quarter longer
    (benchmarks/RESULTS.md). What is taken here is given back to the allocator, which
    keeps it, and no byte of it is touched.
    """
    allocator.malloc.argtypes, allocator.malloc.restype = [c_size_t], c_void_p
    allocator.free.argtypes = [c_void_p]
    allocator.madvise.argtypes = [c_void_p, c_size_t, c_int]
    MADV_HUGEPAGE = 14  # of mman.h
    size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    start = allocator.malloc(size)
    if start is None:  # the process may not have as much: it goes without
        return
    first, last = -(-start // HUGE) * HUGE, (start + size) // HUGE * HUGE
    allocator.madvise(first, last - first, MADV_HUGEPAGE)
    allocator.free(start)


def keep_compiled_programs() -> None:
    """A program compiled once on this machine is loaded the next time."""
    jax.config.update("jax_compilation_cache_dir", str(cache() / "programs"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
