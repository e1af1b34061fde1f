"""Search beside the policy: selectors, a value head, what training kept."""
