"""What every test may ask for."""

pytest_plugins = ["tests.fix_servers", "tests.fix_aerospike", "tests.fix_browser", "tests.fix_driving"]
