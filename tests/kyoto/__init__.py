"""The clients of Kyoto Tycoon servers, against every server found and against servers at fault."""
