"""The names that users import from the top."""

from __future__ import annotations

import pytest

import kt_core
from tests.processes import python


@pytest.mark.parametrize("name", kt_core.__all__)
def test_a_public_name_is_there(name: str) -> None:
    assert getattr(kt_core, name) is not None


def test_no_other_name_is() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Kyoto'"):
        kt_core.Kyoto  # noqa: B018


def test_what_nobody_asks_for_is_not_imported() -> None:
    assert python("-c", "import kt_core.errors, sys; print('asyncio' in sys.modules)") == "False\n"
