"""The adapters: what each framework asks of its caches."""
