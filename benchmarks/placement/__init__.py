"""The placement benchmark: jobs with a deadline on real traces of GPUs that come and go."""
