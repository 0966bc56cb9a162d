#!/usr/bin/env python3
"""Classify one picture, or all pictures of a folder, with a trained model: see --help."""

import sys

from malaria.cli.command import run_script
from malaria.cli.run import main

if __name__ == "__main__":
    sys.exit(run_script(main))
