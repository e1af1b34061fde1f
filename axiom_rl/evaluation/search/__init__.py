"""Policy, policy with search, oracle: searches run beside an evaluation or replayed, and scored."""
