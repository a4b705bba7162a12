"""Memory that updates free is kept, in huge pages where the kernel has them."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")

PROGRAM = """
import ctypes
from transformer import devices
devices.keep_freed_memory()
held = ctypes.create_string_buffer(1 << 28)
print(ctypes.addressof(held) + (1 << 27))
print(open("/proc/self/smaps").read())
"""


def flags(address: int, maps: str) -> list[str]:
    """Those of the part of memory that holds an address."""
    inside = False
    for first, *rest in map(str.split, maps.splitlines()):
        if "-" in first:
            begin, end = (int(part, 16) for part in first.split("-"))
            inside = begin <= address < end
        elif inside and first == "VmFlags:":
            return rest
    return []


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or not HUGE_PAGES.exists(),
    reason="no glibc, or a kernel without transparent huge pages",
)
def test_what_is_allocated_later_may_be_in_huge_pages():
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    address, maps = run.stdout.split("\n", 1)
    assert "hg" in flags(int(address), maps)
