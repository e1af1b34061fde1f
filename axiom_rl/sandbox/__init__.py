"""Where candidate programs run: warm server processes, and the layers that hold them."""

import sys

from axiom_rl.core.errors import AxiomError

if sys.platform == "win32":
    raise AxiomError("the sandbox does not run on Windows itself: use WSL2 (a Linux inside it)")
