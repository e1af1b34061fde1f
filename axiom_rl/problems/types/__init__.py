"""The problem types, one file each, in their families."""
