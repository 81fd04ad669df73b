"""``python -m kt_core.server``."""

import sys

from kt_core.server.command import main

sys.exit(main())
