"""nvidia: whether a driver on this machine finds a GPU, asked without TensorFlow."""

import shutil
import subprocess


def nvidia_smi_works():
    """Whether nvidia-smi is there and lists at least one GPU."""
    if shutil.which("nvidia-smi") is None:
        return False
    listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return listing.returncode == 0 and "GPU" in listing.stdout
