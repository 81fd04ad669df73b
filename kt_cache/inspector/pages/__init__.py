"""The pages of the inspector: what is known, as HTML."""
