"""What axiom-rl adds to Hydra: a launcher, a sweeper, and the page at the end of a sweep.

Hydra looks for plugins in the namespace package `hydra_plugins` alone, and runs each module at
every start, before it is in `sys.modules`: so these are light, and hold no dataclasses.
"""
