"""train.py, to which the networks of tiny.py are known."""

import runpy
from pathlib import Path

from malaria.model import NETWORKS, Network

for name in ("tiny", "undropped"):
    # TensorFlow is imported when train.py would.
    NETWORKS[name] = Network(f"tiny:{name}", 8, "for tests", any_size=True)
runpy.run_path(str(Path(__file__).parents[2] / "train.py"), run_name="__main__")
