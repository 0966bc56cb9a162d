#!/usr/bin/env python3
"""Classify one image, or all images of a folder, with a trained model: see --help."""

import gc
import sys

from malaria.base.signals import end_on_interrupt

end_on_interrupt()
# What imports make stays: looking for garbage among it takes a twentieth of the start.
gc.disable()

from malaria.cli.command import run_script  # noqa: E402  after Ctrl-C is taken care of
from malaria.cli.run import main  # noqa: E402

gc.enable()

if __name__ == "__main__":
    sys.exit(run_script(main))
