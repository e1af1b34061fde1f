"""axiom-rl: self-improving code models by verification. Importing this package loads no torch."""

__version__ = "0.1.0"
