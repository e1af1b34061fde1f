"""Every attack, by name."""

from corpus.attack import Attack
from corpus.dialogue import DIALOGUES
from corpus.endings import ENDINGS
from corpus.forging import FORGING
from corpus.hoarding import HOARDING
from corpus.intrusion import INTRUSION
from corpus.itself import ITSELF
from corpus.kernel import KERNEL
from corpus.resources import RESOURCES
from corpus.surface import SURFACE

GROUPS: dict[str, list[Attack]] = {
    "Forging a pass": FORGING,
    "Exits, signals, hangs": ENDINGS,
    "Memory, threads, floods, huge values": RESOURCES,
    "Files, secrets, processes": INTRUSION,
    "Network and kernel": KERNEL,
    "Its own end, to look like our fault": ITSELF,
    "Memory of the kernel": HOARDING,
    "What it is born with, rare sockets": SURFACE,
    "The talk with its server, rare calls": DIALOGUES,
}
ATTACKS = [attack for attacks in GROUPS.values() for attack in attacks]
