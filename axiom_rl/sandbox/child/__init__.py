"""What runs inside a server process: standard library only, nothing of the rest of axiom_rl.

A server is started as `python -s -S -P -B -c BOOT`, where this folder is imported as the top-level
package `child`; hence the relative imports. It never sees an expected value, and nothing that it
sends back is trusted: a frame can only state values, and the parent compares them.
"""
