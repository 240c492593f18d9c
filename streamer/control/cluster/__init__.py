"""The runs of a cluster: what is put there and what is read from it."""
