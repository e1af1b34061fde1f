"""Where problems come from other than generators: JSONL files and benchmarks."""
