"""`python -m malaria train | classify | draw | unpack | doctor`: all commands by one name."""

import sys

from malaria.base.signals import end_on_interrupt

end_on_interrupt()

from malaria.cli.command import run_script  # noqa: E402  after Ctrl-C is taken care of
from malaria.cli.main import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(run_script(main))
