"""Expert iteration: sample, keep what passes, fine-tune, again."""
