"""Verified solutions: kept, made into training rows, collected."""
