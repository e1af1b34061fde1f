"""Trainers one after the other in one run."""
