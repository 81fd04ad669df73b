"""What protects data and processes, where no one module is the place to test it."""
