"""The clients of Tokyo Tyrant servers, against every server found and every kind of database."""
