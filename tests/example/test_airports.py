"""What the example computes is true: checked against known distances and against brute force."""

from __future__ import annotations

import math
import re

import pytest

from example_project import airports, drawing, world
from example_project.airports import AIRPORTS, COUNTRIES


@pytest.mark.parametrize(
    ("one", "other", "kilometres"),
    [("EGLL", "KJFK", 5540), ("YSSY", "SAEZ", 11800), ("NZSP", "CYLT", 19180)],
)
def test_distances(one: str, other: str, kilometres: int) -> None:
    chord = math.dist(AIRPORTS[one].point, AIRPORTS[other].point)
    assert airports.kilometres(chord) == pytest.approx(kilometres, rel=0.01)


def test_the_grid_finds_the_same_neighbours_as_comparing_with_all() -> None:
    found = world.neighbours(AIRPORTS.values())
    for code in ("EDDF", "NZSP", "SCIP", "NFFN", "FHSH"):
        assert found[AIRPORTS[code]] == airports.nearest(AIRPORTS[code], 1)[0]


def test_a_lone_airport_has_no_neighbour() -> None:
    assert world.neighbours([AIRPORTS["EDDF"]]) == {}


def test_every_country_has_a_name() -> None:
    assert all(len(country.name) > 3 for country in COUNTRIES.values())


@pytest.mark.parametrize(("text", "code"), [("FRA", "EDDF"), ("eddf", "EDDF"), ("zurich", "LSZH"), ("ZÜRICH", "LSZH")])
def test_search_knows_codes_and_forgets_accents(text: str, code: str) -> None:
    assert code in airports.search(text, 5)


def test_a_direction_is_true_and_a_distance_kept() -> None:
    greenwich = AIRPORTS["EGLL"]
    x, y = drawing.azimuthal(greenwich, AIRPORTS["NZSP"])
    assert (x, y) == (pytest.approx(0, abs=1e-6), pytest.approx(math.pi / 2 + math.radians(greenwich.lat)))
    assert drawing.azimuthal(greenwich, greenwich) == pytest.approx((0, 0))


def test_dots_are_one_to_each_unit() -> None:
    assert drawing.dots([(1.2, 3), (1.4, 3), (5, 3), (0, 2)]) == "M0 2h0M1 3h0m4 0h0"


@pytest.mark.parametrize("code", ["FJ", "US", "RU", "NR"])
def test_a_country_across_the_date_line_stays_together(code: str) -> None:
    drawn = drawing.country_map(COUNTRIES[code].airports)
    assert max(drawn["width"], drawn["height"]) in (0, drawing.COUNTRY_SIDE)
    assert re.fullmatch(r"([Mm]\d+ \d+h0)+", drawn["path"])


@pytest.mark.parametrize(("value", "percent"), [(0.01, 0), (1, 0), (10, 50), (100, 100), (5000, 100)])
def test_a_logarithmic_scale_has_ends(value: float, percent: float) -> None:
    assert drawing.log_percent(value, 1, 100) == percent
