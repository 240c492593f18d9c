"""What all tests share."""

from __future__ import annotations

import os

from hypothesis import settings

# Time limits per example would only measure how busy the machine is.  In CI the examples are the
# same in each run, so that what lands does not depend on luck; elsewhere each run looks further.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")
