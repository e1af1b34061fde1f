"""A value head from the verdicts of finished evaluations."""
