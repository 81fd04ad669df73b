"""``python -m kt_core`` is ``kt``."""

from __future__ import annotations

from kt_core.cli import main

raise SystemExit(main())
