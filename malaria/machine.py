"""machine: what this machine offers, asked without TensorFlow."""

import os
import shutil
import subprocess


def usable_cores():
    """How many cores this process may use; a cluster's job often has fewer than the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def nvidia_smi_works():
    """Whether nvidia-smi is there and lists at least one GPU."""
    if shutil.which("nvidia-smi") is None:
        return False
    listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return listing.returncode == 0 and "GPU" in listing.stdout
