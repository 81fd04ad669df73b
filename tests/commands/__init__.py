"""The commands of ``kt``."""
