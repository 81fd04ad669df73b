"""The commands of ``kt``, each in the module of its kind; `table` lists them, and `kt_core.cli` runs them."""
