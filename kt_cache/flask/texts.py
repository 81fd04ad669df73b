"""Flask's own kind of text, as msgpack keeps it: what is safe stays safe."""

from __future__ import annotations

from markupsafe import Markup

from kt_cache.serializers import register_extension

# The number is stored: it never changes its meaning.
register_extension(40, Markup, lambda text: (str(text),), Markup)
