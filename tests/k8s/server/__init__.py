"""A Kubernetes API server of the tests' own: README.md says case by case what it does."""
