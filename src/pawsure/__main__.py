"""`python -m pawsure` is `pawsure`."""

from __future__ import annotations

from pawsure.cli.app import main

if __name__ == "__main__":
    main()
