"""The placement benchmark: jobs with a deadline replayed on real traces of GPUs that come and go."""
