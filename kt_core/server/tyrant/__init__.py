"""The bundled server for Tokyo Tyrant's clients, over the same embedded database."""
