from __future__ import annotations

import os

from hypothesis import settings

# Some tests import onnxruntime before pawsure does.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# A deadline for one example measures what else the machine does, not the code.
settings.register_profile("pawsure", deadline=None)
settings.load_profile("pawsure")
