"""The pages of a run, of a comparison and of a sweep."""
