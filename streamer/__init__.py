"""The streamer and the control plane of CaveCast."""
