"""The commands ``demo`` and ``run``: thin clients of a control plane of their own."""
