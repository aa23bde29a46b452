"""What both kinds of client are made of."""

from __future__ import annotations

import os
from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

from ._native import Client as NativeClient
from .arguments import flag_of, path_of, text_of, word_of, wrong
from .cache import whereabouts
from .errors import BadRequestError
from .simulator import Simulation, Simulator, terms_of
from .vocabulary import datetime_of, is_unicode

if TYPE_CHECKING:
    from datetime import datetime


class Opened:
    """A client, but for its questions."""

    def __init__(
        self,
        *,
        cache_dir: str | PathLike[str] | None = None,
        config: str | PathLike[str] | None = None,
        settings: Mapping[str, object] | None = None,
        simulate: bool | Simulation = False,
    ) -> None:
        self._native = _open(cache_dir, config, settings, simulate)

    @property
    def simulator(self) -> Simulator:
        """The remote control of the simulated internet; only with ``simulate``."""
        native = self._native.simulator()
        if native is None:
            raise BadRequestError("this client simulates nothing: expected Client(simulate=True)")
        return Simulator(native)

    @property
    def config(self) -> str:
        """The whole configuration in force, as TOML; keys are not in it."""
        return self._native.config()

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self._native.is_closed()

    def now(self) -> datetime:
        """What time it is, as the client sees it; UTC."""
        return datetime_of(self._native.now())

    def control(self, provider: str, how: Literal["force_open", "force_closed", "reset"]) -> None:
        """Sets the circuit breaker of an upstream by hand. ``force_open``: nothing is sent to it; ``reset``: as after
        a restart, quarantine lifted."""
        self._native.control(text_of(provider, "provider"), word_of(how, "how", "force_open", "force_closed", "reset"))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {whereabouts(self._native)}>"


# Who is told of a wrong parameter knows no other name.
Opened.__init__.__qualname__ = "Client"


def _open(
    cache_dir: str | PathLike[str] | None,
    config: str | PathLike[str] | None,
    settings: Mapping[str, object] | None,
    simulate: bool | Simulation,
) -> NativeClient:
    folder = path_of(cache_dir, "cache_dir")
    if folder is not None and not is_unicode(folder):
        raise wrong("cache_dir", cache_dir, "a path in UTF-8")
    simulation = None
    if isinstance(simulate, Simulation):
        simulation = terms_of(simulate)
    elif flag_of(simulate, "simulate"):
        simulation = terms_of(Simulation())
    return NativeClient(path_of(config, "config"), _settings(settings, folder), simulation)


def _settings(settings: Mapping[str, object] | None, cache_dir: str | None) -> str | None:
    """Settings as JSON; which there are, and what they take, the engine knows."""
    expected = 'a dictionary such as {"engine": {"deadline_ms": 5000}}'
    if settings is not None and not isinstance(settings, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise wrong("settings", settings, expected)
    changed: dict[str, Any] = dict(settings or {})
    if cache_dir is not None:
        of_cache = changed.get("cache", {})
        if not isinstance(of_cache, Mapping):
            raise wrong('settings["cache"]', of_cache, "a dictionary")
        changed["cache"] = {**of_cache, "dir": cache_dir}
    if not changed:
        return None
    import json

    try:
        text = json.dumps(changed, default=os.fspath, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise BadRequestError(f"settings: {error}: expected texts, numbers, True, False, None, lists, dictionaries") from None
    if not is_unicode(text):
        raise BadRequestError(f"settings: {text!a}: expected texts in UTF-8")
    return text
