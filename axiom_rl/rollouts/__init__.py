"""Completions with verdicts: drawn, judged, written, read back, rewarded."""
