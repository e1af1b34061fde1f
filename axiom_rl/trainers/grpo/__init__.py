"""GRPO with execution reward on TRL's GRPOTrainer."""
