"""Dates and times of day in answers."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_NAME = rf"(?P<month>{'|'.join(_MONTHS)}|jan|feb|mar|apr|jun|jul|aug|sept|sep|oct|nov|dec)\.?"
_DAY = r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th)?"
_WEEKDAY = r"(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day,? )?"
_DATES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?P<year>[0-9]{4})(?P<sign>[-/.])(?P<month>[0-9]{1,2})(?P=sign)(?P<day>[0-9]{1,2})",
        r"(?P<year>[0-9]{4}) ?年 ?(?P<month>[0-9]{1,2}) ?月 ?(?P<day>[0-9]{1,2}) ?日",
        rf"{_WEEKDAY}(?:the )?{_NAME} {_DAY}(?:,? (?P<year>[0-9]{{4}}))?",
        rf"{_WEEKDAY}(?:the )?{_DAY}[ -](?:of )?{_NAME}(?:,?[ -](?P<year>[0-9]{{4}}))?",
        rf"{_NAME},? (?P<year>[0-9]{{4}})",
    )
)
_NUMERIC = re.compile(
    r"(?P<one>[0-9]{1,2})(?P<sign>[-/.])(?P<two>[0-9]{1,2})(?P=sign)(?P<year>[0-9]{4})"
)
_TIME = re.compile(
    r"(?P<hour>[0-9]{1,2})(?::(?P<minute>[0-5][0-9])(?::(?P<second>[0-5][0-9]))?)?"
    r" ?(?:(?P<half>[ap])\.? ?m\.?|(?P<word>noon|midnight)|(?P<clock>o['’]?clock))?(?: hours?)?",
    re.IGNORECASE,
)
_NAMED_TIMES = {"noon": 12, "midnight": 0}


@dataclass(frozen=True, slots=True)
class Date:
    """A date; year or day are None if not written."""

    year: int | None
    month: int
    day: int | None
    is_ambiguous: bool = False
    """Written like "05/01/2024" (January or May); `month` is then the first number."""


@dataclass(frozen=True, slots=True)
class Time:
    """A time of day, in seconds after midnight."""

    second: int


def read_date(text: str) -> Date | None:
    """Returns the date that the whole text states, or None."""
    for pattern in _DATES:
        if (match := pattern.fullmatch(text)) is not None:
            part = match.groupdict()
            name = part["month"].casefold()
            short = [month[:3] for month in _MONTHS]
            month = int(name) if name.isdigit() else 1 + short.index(name[:3])
            return _date(part.get("year"), month, part.get("day"))
    if (match := _NUMERIC.fullmatch(text)) is None:
        return None
    one, two = int(match["one"]), int(match["two"])
    if one > 12 or one == two:
        return _date(match["year"], two, match["one"])
    found = _date(match["year"], one, match["two"])
    return found if found is None or two > 12 else Date(found.year, one, two, is_ambiguous=True)


def write_date(date: Date) -> str:
    """Returns text that `read_date` reads back; ISO 8601 if the date is complete and
    unambiguous.
    """
    if date.is_ambiguous:
        return f"{date.month:02}/{date.day:02}/{date.year}"
    if date.day is None:
        return f"{_MONTHS[date.month - 1].title()} {date.year}"
    if date.year is None:
        return f"{_MONTHS[date.month - 1].title()} {date.day}"
    return f"{date.year:04}-{date.month:02}-{date.day:02}"


def read_time(text: str) -> Time | None:
    """Returns the time of day that the whole text states, or None; a bare number is not
    a time.
    """
    if text.casefold() in _NAMED_TIMES:
        return Time(3600 * _NAMED_TIMES[text.casefold()])
    match = _TIME.fullmatch(text)
    if match is None or text.isdigit() or not any(match.group("minute", "half", "word", "clock")):
        return None
    hour, half = int(match["hour"]), (match["half"] or "").casefold()
    if half or match["word"]:
        if not 1 <= hour <= 12 or (match["word"] and hour != 12):
            return None
        hour = hour % 12 + 12 * (half == "p" or (match["word"] or "").casefold() == "noon")
    if hour > 23 or (text.split(":")[0] == match["hour"] and match["hour"] == "00" and half):
        return None
    return Time(3600 * hour + 60 * int(match["minute"] or 0) + int(match["second"] or 0))


def write_time(time: Time) -> str:
    """Returns "HH:MM" or "HH:MM:SS"."""
    minutes, seconds = divmod(time.second, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}" + (f":{seconds:02}" if seconds else "")


def _date(year: str | None, month: int, day: str | None) -> Date | None:
    try:
        datetime.date(int(year or 2000), month, int(day or 1))
    except ValueError:
        return None
    return Date(None if year is None else int(year), month, None if day is None else int(day))
