"""Sampling with transformers: continuous batching over a cache of slots."""
