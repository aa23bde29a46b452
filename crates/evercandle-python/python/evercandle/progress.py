"""A bar that says how far a download is: tqdm's, where it is installed, else a line of our own."""

from __future__ import annotations

import shutil
import sys
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

_WIDTH = 30
# A terminal is told often enough to look alive, a file or a log rarely enough to stay readable.
_EVERY_TERMINAL, _EVERY_ELSEWHERE = 0.1, 10.0


class _Stderr:
    """Where a bar is drawn. It is decoration: where nobody can read it (a reader that went away), it falls silent."""

    def __init__(self) -> None:
        self._stream: Any = sys.stderr

    def write(self, text: str) -> int:
        self._try("write", text)
        return len(text)

    def flush(self) -> None:
        self._try("flush")

    def isatty(self) -> bool:
        return bool(self._try("isatty"))

    def _try(self, how: str, *what: str) -> Any:
        try:
            return self._stream and getattr(self._stream, how)(*what)
        except (OSError, ValueError):
            self._stream = None
            return None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Bar:
    """Counts up to ``total``, in a terminal or a notebook."""

    def __init__(self, total: int, *, shown: bool) -> None:
        self._total = total
        self._done = 0
        self._shown = shown and total > 0
        self._began = time.monotonic()
        self._told = 0.0
        self._waits = ""
        self._stderr = _Stderr()
        self._other: Any = _tqdm(total, self._stderr) if self._shown else None

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._other is not None:
            self._other.close()
        elif self._shown:
            self._tell("", last=True)

    def advance(self, what: str) -> None:
        """One more is done; ``what`` it was."""
        self._done += 1
        if self._other is not None:
            self._other.set_postfix_str(what, refresh=False)
            self._other.update(1)
        elif self._shown:
            self._tell(what)

    def wait(self, what: str) -> None:
        """Nothing is done meanwhile, and ``what`` says why; empty: it goes on."""
        if what == self._waits:
            return
        self._waits = what
        if self._other is not None:
            self._other.set_postfix_str(what)
        elif self._shown and what:
            # Rare enough to be told at once.
            self._told = 0.0
            self._tell(what)

    def _tell(self, what: str, *, last: bool = False) -> None:
        # A line can be written over in a terminal, and in a notebook.
        now, terminal = time.monotonic(), self._stderr.isatty() or _in_notebook()
        if not last and now - self._told < (_EVERY_TERMINAL if terminal else _EVERY_ELSEWHERE):
            return
        self._told = now
        filled = _WIDTH * self._done // self._total
        bar = "█" * filled + "░" * (_WIDTH - filled)
        took = now - self._began
        line = f"{bar} {self._done}/{self._total}  {took:.0f} s  {what}"
        end = "\n" if last or not terminal else ""
        width = shutil.get_terminal_size().columns - 1
        self._stderr.write(f"\r{line[:width]:<{width}}{end}" if terminal else f"{line}{end}")
        self._stderr.flush()


def _in_notebook() -> bool:
    return "ipykernel" in sys.modules


def _tqdm(total: int, stderr: _Stderr) -> Any:
    try:
        # The notebook's widget needs ipywidgets, and says so in a warning where it is missing.
        if _in_notebook():
            import_module("ipywidgets")
        module: Any = import_module("tqdm.notebook" if _in_notebook() else "tqdm")
    except ImportError:
        return None
    return module.tqdm(total=total, unit="part", leave=True, file=stderr, dynamic_ncols=True)
