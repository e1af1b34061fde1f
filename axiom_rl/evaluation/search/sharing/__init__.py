"""Samples shared among problems by need, against even shares of the same tokens."""
