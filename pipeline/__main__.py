"""Start the command line: `python -m pipeline`."""

import os
import sys

if sys.flags.optimize > 1:
    # Great Expectations imports altair, which needs docstrings
    os.environ.pop("PYTHONOPTIMIZE", None)
    os.execv(sys.executable, [sys.executable, "-m", "pipeline", *sys.argv[1:]])

from pipeline.cli.main import main

main()
