#!/usr/bin/env python3
"""Train a network on a folder of labelled pictures, as config.yaml says: see --help."""

import sys

from malaria.cli.command import run_script
from malaria.cli.train import main

if __name__ == "__main__":
    sys.exit(run_script(main))
