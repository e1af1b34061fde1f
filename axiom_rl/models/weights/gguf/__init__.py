"""Reading GGUF files: weights, tokenizer, conversion."""
