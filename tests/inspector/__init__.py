"""The inspector below the frameworks."""
