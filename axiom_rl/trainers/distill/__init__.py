"""On-policy distillation from a teacher that shares the tokenizer."""
