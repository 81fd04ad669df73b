"""The example site: the airports of the world, served with kt-cache."""
