"""`python -m axiom_rl` is the program of launch.py."""

import sys

from axiom_rl.cli import main

sys.exit(main())
