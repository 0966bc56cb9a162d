"""`python -m malaria train | classify | draw`: all commands by one name."""

import sys

from malaria.cli.command import run_script
from malaria.cli.main import main

if __name__ == "__main__":
    sys.exit(run_script(main))
