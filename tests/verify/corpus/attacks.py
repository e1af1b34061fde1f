"""Every attack, by name."""

from corpus.attack import Attack
from corpus.endings import ENDINGS
from corpus.forging import FORGING
from corpus.intrusion import INTRUSION
from corpus.kernel import KERNEL
from corpus.resources import RESOURCES

ATTACKS: list[Attack] = [*FORGING, *ENDINGS, *RESOURCES, *INTRUSION, *KERNEL]
