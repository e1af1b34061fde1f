"""A run's folder: what is written in it, and where its numbers go."""
