"""Django's own kinds of text, as msgpack keeps them: safe strings stay safe, lazy translations lazy."""

from __future__ import annotations

from typing import Any

from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy, pgettext_lazy

from kt_cache.serializers import register_extension


def _plain(text: SafeString) -> tuple[str]:
    return (text[:],)  # str() would be the safe string itself


def _arguments(lazy: Any) -> Any:
    _, (_, arguments, *_) = lazy.__reduce__()
    return arguments


# The numbers are stored: they never change their meaning.
register_extension(32, SafeString, _plain, SafeString)
register_extension(33, type(gettext_lazy("")), _arguments, gettext_lazy)
register_extension(34, type(pgettext_lazy("", "")), _arguments, pgettext_lazy)
