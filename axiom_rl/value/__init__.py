"""A value function: the chance of a sample to pass, read from the frozen policy's hidden states.

Nothing here meets a test or a verdict but the fit, which is given verdicts of a finished pool. The
heads are small (linear or two layers); features are computed once and stored beside the pool.
"""
