"""The addresses of the site."""

from __future__ import annotations

from django.urls import include, path

from . import views

urlpatterns = [
    path("", views.home, name="home"),
    path("search/", views.search, name="search"),
    path("country/<slug:code>/", views.country, name="country"),
    path("airport/<slug:code>/", views.airport, name="airport"),
    path("random/", views.anywhere, name="anywhere"),
    path("world/", views.world, name="world"),
    path("note/", views.note, name="note"),
    path("live/", views.live, name="live"),
    path("live/data.json", views.live_data, name="live-data"),
    path("live/measure.json", views.live_measure, name="live-measure"),
    path("way/", views.way, name="way"),
    path("cache/", include("kt_cache.django.urls")),
]
