"""GRPO with execution reward: our samples and loss, transformers' Trainer, TRL's options."""
