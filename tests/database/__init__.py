"""Tests of the embedded database: one module for each of `kt_core.database`."""
