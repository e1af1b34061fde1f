"""Many runs from one command: the jobs of a sweep, each in a process of its own."""
