"""What an attack is, and which verdicts count as having withstood it.

Forging attacks (`goal` None) are put to a problem whose answers they do not know. Every other
attack returns its goal if, and only if, it has done the forbidden thing, and is put to a problem
that expects just that: ACCEPTED would mean that the sandbox was broken.

`solve` gets one argument: a number in forging attacks, else a dict that makes the attacker strong
by telling what only the attacked know: `parent` (process id), `folder` (writable by the parent),
`file` (in it), `project` (a source file of ours), `packages` (installed ones), `port`, `udp`,
`unix`, `abstract` (sockets that listen) and `token` (a word for names of files).
"""

from dataclasses import dataclass

from axiom_rl.types import Status

W = Status.WRONG_ANSWER
R = Status.RUNTIME_ERROR
T = Status.TIME_LIMIT
M = Status.MEMORY_LIMIT
O = Status.OUTPUT_LIMIT  # noqa: E741
V = Status.SECURITY_VIOLATION
N = Status.NO_CODE
X = Status.SYNTAX_ERROR

DENIED = frozenset({W, R, V})
"""The deed failed: the program noticed (wrong answer, exception) or was killed for it."""
ESCAPED = "escaped"
SECRET = "the secret in the parent's environment"


@dataclass(frozen=True, slots=True)
class Attack:
    """One hostile program."""

    name: str
    tries: str
    """What it tries, in one phrase."""
    code: str
    statuses: frozenset[Status]
    """Verdicts that are right."""
    goal: str | None = None


def forge(name: str, tries: str, code: str, *statuses: Status) -> Attack:
    """A program that wants to pass without knowing the answer."""
    return Attack(name, tries, code, frozenset(statuses) or frozenset({W}))


def escape(name: str, tries: str, code: str, *statuses: Status) -> Attack:
    """A program that returns "escaped" if it did what no candidate may do."""
    return Attack(name, tries, code, frozenset(statuses) or DENIED, ESCAPED)


def exhaust(name: str, tries: str, code: str, *statuses: Status) -> Attack:
    """A program that wants to hang, flood or starve; how it ends is told by its status."""
    return Attack(name, tries, code, frozenset(statuses))
