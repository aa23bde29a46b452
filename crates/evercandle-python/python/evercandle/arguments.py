"""What callers pass, made sure of before the engine sees it.

Type checkers find such mistakes only for those who use one. Whatever is wrong is a :class:`BadRequestError` that names
the parameter, what was given and what was expected. Nothing is guessed, and nothing is taken for what it is not: ``True``
is no number, ``"no"`` no flag, and an empty list not the same as none.
"""

from __future__ import annotations

import math
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from ._native import format_instant
from .errors import BadRequestError
from .vocabulary import FUNDING_RATES, NO_NUMBERS, Interval, Market, is_unicode, micros_of, shown, whole_or_none

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import SupportsFloat

    from .vocabulary import TimeLike, Unit

# What the engine can count to.
_WHOLE_MAX = 2**63 - 1
MORE_THAN_0 = math.ulp(0.0)
"""The least number that is."""


def wrong(name: str, given: object, expected: str) -> BadRequestError:
    """The error for a parameter."""
    return BadRequestError(f"{name} is {shown(given)}: expected {expected}")


def text_of(given: object, name: str, expected: str = "a text") -> str:
    """A text that is not empty, and can be written: half a surrogate pair cannot."""
    if not isinstance(given, str) or not given or not is_unicode(given):
        raise wrong(name, given, expected)
    return given


def symbol_of(given: object, name: str = "symbol") -> str:
    """What may be a symbol."""
    return text_of(given, name, "a text such as BTCUSDT or BTC/USDT")


def texts_of(given: object, name: str, expected: str) -> list[str]:
    """Texts, at least one."""
    if isinstance(given, (str, bytes)) or not hasattr(given, "__iter__"):
        raise wrong(name, given, expected)
    texts = [text_of(one, f"{name}[{place}]") for place, one in enumerate(cast("Iterable[object]", given))]
    if not texts:
        raise wrong(name, given, f"{expected}, at least one")
    return texts


def word_of(given: object, name: str, *words: str) -> str:
    """One of some words."""
    if not isinstance(given, str) or given not in words:
        raise wrong(name, given, " or ".join(f'"{word}"' for word in words))
    # Of a member of somebody's enumeration, `str` makes its name.
    return words[words.index(given)]


def flag_of(given: object, name: str) -> bool:
    """A yes or no, NumPy's too."""
    if isinstance(given, bool) or type(given).__name__ in ("bool", "bool_"):
        return bool(given)
    raise wrong(name, given, "True or False")


def whole_of(given: object, name: str, least: int | None, most: int = _WHOLE_MAX) -> int:
    """A whole number within bounds, NumPy's too."""
    expected = "a whole number"
    if least is not None:
        expected += f", at least {least}" if most == _WHOLE_MAX else f" from {least} to {most}"
    whole = whole_or_none(given)
    if whole is None or whole > most or whole < (-_WHOLE_MAX if least is None else least):
        raise wrong(name, given, expected)
    return whole


def seconds_of(given: object, name: str = "deadline") -> float | None:
    """A duration in seconds, if there is one."""
    return None if given is None else duration_of(given, name)


def duration_of(given: object, name: str) -> float:
    """A duration in seconds, more than none."""
    told = given.total_seconds() if isinstance(given, timedelta) else given
    return number_of(told, name, "seconds or a timedelta, more than 0 and at most a billion seconds", MORE_THAN_0, 1e9)


def number_of(given: object, name: str, expected: str, least: float, most: float) -> float:
    """A number within bounds, NumPy's too."""
    if isinstance(given, (str, bytes)) or type(given).__name__ in NO_NUMBERS or not hasattr(given, "__float__"):
        raise wrong(name, given, expected)
    try:
        number = float(cast("SupportsFloat", given))
    except (TypeError, ValueError, OverflowError):
        raise wrong(name, given, expected) from None
    if not least <= number <= most:
        raise wrong(name, given, expected)
    return number


def market_of(given: object) -> str:
    """The word for a market."""
    # What compares with words as tables do, element by element, is no word.
    try:
        return Market(given if isinstance(given, str) else None).value
    except ValueError:
        raise wrong("market", given, "spot, um or cm") from None


def interval_of(given: object, name: str = "interval") -> Interval:
    """The length of a kline."""
    if isinstance(given, str) and given == FUNDING_RATES:
        raise wrong(name, given, "1s to 1M; for funding rates ask funding_rates(…)")
    word = given if isinstance(given, str) else None
    try:
        return Interval("1M" if word == "1mo" else word)
    except ValueError:
        raise wrong(name, given, "one of " + " ".join(one.value for one in Interval)) from None


def span_of(start: TimeLike, end: TimeLike, unit: Unit | None) -> tuple[int, int]:
    """A range that is not empty, in microseconds."""
    first, last = micros_of(start, unit, "start"), micros_of(end, unit, "end")
    if last <= first:
        raise BadRequestError(
            f"start {format_instant(first)} is not before end {format_instant(last)}: expected start < end"
        )
    return first, last


def path_of(given: object, name: str) -> str | None:
    """Where something is on disk."""
    if given is None:
        return None
    path = os.fspath(cast("os.PathLike[Any]", given)) if hasattr(given, "__fspath__") else given
    if not isinstance(path, str) or not path or "\0" in path or not _is_file_name(path):
        raise wrong(name, given, "a path")
    return path


def _is_file_name(path: str) -> bool:
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return True
