"""The one base class of errors that a user can cause and repair."""


class AxiomError(Exception):
    """A problem with the user's input or machine.

    The message names the key or file at fault and what to type instead; `launch.py` prints it
    without a traceback and exits with status 2.
    """
