"""The inference workers of CaveCast: reading a volume, segmenting it chunk by chunk."""
