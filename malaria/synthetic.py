"""synthetic: the earlier name of the command `python -m malaria draw`, which still works."""

import sys

from malaria.cli.command import run_script
from malaria.cli.draw import main

if __name__ == "__main__":
    sys.exit(run_script(main))
