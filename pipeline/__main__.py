"""Start the command line: `python -m pipeline`."""

import gc
import os
import sys

# Great Expectations imports altair, which needs docstrings, and old modules of Python, which warn.
if sys.flags.optimize > 1 or any(option.startswith("error") for option in sys.warnoptions):
    os.environ.pop("PYTHONOPTIMIZE", None)
    os.environ.pop("PYTHONWARNINGS", None)
    os.execv(sys.executable, [sys.executable, "-m", "pipeline", *sys.argv[1:]])

from pipeline.cli.main import main

# Visit old objects ten times less often. Most are modules, and the visits took a sixth of the time of all imports.
gc.set_threshold(*gc.get_threshold()[:2], 100)
main()
