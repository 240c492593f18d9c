"""The archive: a subscriber of a run that writes it to a Zarr store and to CSV tables."""
