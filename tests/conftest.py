from __future__ import annotations

from hypothesis import settings

# A deadline for one example measures what else the machine does, not the code.
settings.register_profile("pawsure", deadline=None)
settings.load_profile("pawsure")
