"""What a comparison of runs shows beside its figures: curves in one chart, samples side by side."""
