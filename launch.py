"""Run one stage of an experiment: python launch.py trainer=expert_iter problems=basic seed=1."""

import sys

from axiom_rl.cli import main

if __name__ == "__main__":
    sys.exit(main())
