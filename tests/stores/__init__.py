"""The Store contract as tests, and every store put through it."""

import pytest

pytest.register_assert_rewrite("tests.stores.contract", "tests.stores.capabilities", "tests.stores.entries")
