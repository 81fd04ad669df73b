"""The test-suites of other projects, run against our backends."""
