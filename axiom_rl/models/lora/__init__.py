"""LoRA adapters: options, the merged copy that GRPO samples from, merging to disk."""
