"""Scores with honest uncertainty, comparisons of model N with N+1, and the report of a run."""
