"""machine: what this machine offers, asked without TensorFlow."""

import os
import re
import sys
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
MOST_WORKERS = 16


def usable_cores() -> int:
    """The number of cores that this process may use; a cluster's job may have a few of many."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def has_bfloat16() -> bool:
    """True if the processor multiplies matrices of bfloat16 (Intel's AMX), as far as Linux tells.

    Others with instructions for it, AVX512_BF16, were slower with it than with float32 (0.7 times).
    """
    return CPU_INFO.exists() and re.search(r"\bamx_bf16\b", CPU_INFO.read_text()) is not None


def usable_memory() -> int:
    """The bytes of memory that this process may use: of the machine, or of its own limit."""
    available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        import resource
    except ImportError:  # there is none on Windows
        return available
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return available if limit == resource.RLIM_INFINITY else min(available, limit)


def peak_memory() -> int | None:
    """The most bytes of memory that this process has held so far; None on Windows."""
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def worker_count() -> int:
    """The number of threads that classify; the cores beyond that speed up each of them.

    Each has a copy of the weights and room for a batch: at most 60 MB for the original's network.
    """
    return min(usable_cores(), MOST_WORKERS)
