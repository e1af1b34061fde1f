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

ATTACKS: list[Attack] = [
    *FORGING,
    *ENDINGS,
    *RESOURCES,
    *INTRUSION,
    *KERNEL,
    *ITSELF,
    *HOARDING,
    *SURFACE,
    *DIALOGUES,
]
