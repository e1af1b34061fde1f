"""Who decides what is gold, where its samples come from, and what training kept of a search."""
