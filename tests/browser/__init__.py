"""What a real browser makes of the pages: Chromium, where it is found on PATH."""
