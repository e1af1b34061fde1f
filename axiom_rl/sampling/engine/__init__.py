"""Sampling with vLLM: one engine in a process of its own."""
