"""Whether tests with generated input take other input in each run (`make explore`) or the same one."""

from __future__ import annotations

import os

IS_EXPLORING = os.environ.get("CATALOG_TEST_EXPLORE") == "1"
