"""Lets `python3 host/benches/measure COMMAND` work from anywhere."""

import sys
from pathlib import Path

# Measuring leaves nothing behind in the source tree.
sys.dont_write_bytecode = True

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from measure.cli import main

sys.exit(main())
