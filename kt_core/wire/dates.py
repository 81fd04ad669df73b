"""Points in time as HTTP headers write them, in seconds since 1970.

Source: the Kyoto Tycoon protocol reference, section 8. Expiries reach beyond the year 9999, where `datetime`
ends: the Gregorian calendar repeats itself every 400 years, weekdays included.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

_CYCLE_YEARS = 400
_CYCLE = 146_097 * 86_400
_DAYS = (b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun")
_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_MONTH_NUMBERS = {name.lower(): number for number, name in enumerate(_MONTHS, 1)}
# Hours before Greenwich, of the zones that mails are dated with; any other name is taken for Greenwich's.
_HOURS = {
    b"jst": 9, b"kst": 9, b"cct": 8, b"edt": -4, b"est": -5, b"cdt": -5, b"cst": -6, b"mdt": -6, b"mst": -7, b"pdt": -7,
    b"pst": -8, b"hdt": -9, b"hst": -10,
}  # fmt: skip
_UNITS = {b"": 1, b"s": 1, b"m": 60, b"h": 3_600, b"d": 86_400}

_CLOCK = rb"(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.\d+)?)?"
_ZONE = rb" ?(?:z|(?P<zone>[a-z]{3})|(?P<offset>[+-]\d\d:?\d\d))?"
_SECONDS = re.compile(rb"(\d{1,18}) ?([smhd]?)", re.IGNORECASE)
_HEXADECIMAL = re.compile(rb"0x([0-9a-f]{1,16})", re.IGNORECASE)
_DATES = (
    re.compile(
        rb"(?:[a-z]{3}, ?)?(?P<day>\d\d?) (?P<name>[a-z]{3}) (?P<year>\d{4,5}) " + _CLOCK + _ZONE, re.IGNORECASE
    ),
    re.compile(
        rb"(?P<year>\d{4,5})(?P<mark>[-/])(?P<month>\d\d)(?P=mark)(?P<day>\d\d)(?:[T ]" + _CLOCK + _ZONE + rb")?",
        re.IGNORECASE,
    ),
)


def format_date(second: int) -> bytes:
    """Return the date of a second as RFC 1123 writes it."""
    cycles, rest = divmod(second, _CYCLE)
    when = datetime.fromtimestamp(rest, UTC)
    day, month, year = _DAYS[when.weekday()], _MONTHS[when.month - 1], when.year + cycles * _CYCLE_YEARS
    return b"%b, %02d %b %04d %02d:%02d:%02d GMT" % (day, when.day, month, year, when.hour, when.minute, when.second)


def parse_date(text: bytes) -> int | None:
    """Return the second that a text means: a number of seconds or a date in any of the usual forms, else None."""
    text = text.strip()
    if match := _HEXADECIMAL.fullmatch(text):
        return int(match[1], 16)
    if match := _SECONDS.fullmatch(text):
        return int(match[1]) * _UNITS[match[2].lower()]
    for form in _DATES:
        if match := form.fullmatch(text):
            return _second(match.groupdict())
    return None


def _second(fields: dict[str, bytes | None]) -> int | None:
    def number(name: str) -> int:
        return int(fields.get(name) or b"0")

    month = _MONTH_NUMBERS.get((fields.get("name") or b"").lower()) or number("month")
    cycles, year = divmod(number("year") - 1970, _CYCLE_YEARS)
    try:
        clock = number("hour"), number("minute"), number("second")
        when = datetime(1970 + year, month, number("day"), *clock, tzinfo=UTC)
    except ValueError:
        return None
    offset = (fields["offset"] or b"+0000").replace(b":", b"")
    away = int(offset[1:3]) * 3_600 + int(offset[3:]) * 60
    ahead = (-away if offset.startswith(b"-") else away) + _HOURS.get((fields["zone"] or b"").lower(), 0) * 3_600
    return int(when.timestamp()) + cycles * _CYCLE - ahead
