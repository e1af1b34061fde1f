"""What stays the same during a run, and what it takes on this machine."""
