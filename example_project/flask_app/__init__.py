"""The example site for Flask: plan a trip along the airports. `flask --app example_project.flask_app run`."""

from .application import create_app

__all__ = ["create_app"]
