"""A soak: many processes use the stores while everything around them fails, and a model checks every answer."""
