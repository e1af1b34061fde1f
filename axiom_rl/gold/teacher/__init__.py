"""A teacher's traces: reasoning and program, verified, for problems that a student fails."""
