"""What ``help`` says of the other forms of a question: what it says of the client's own, and what differs.

An editor reads the source, and finds there where to look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Form = TypeVar("Form", bound="Callable[..., Any]")

SIMULATE = "``simulate``: of a pretend internet, with a temporary cache; nothing leaves the machine."


def told_as(own: Callable[..., Any], but: str = "") -> Callable[[Form], Form]:
    """A decorator: ``help`` says of it what it says of the client's own, and what it says itself, and ``but``."""
    see = f"See :meth:`{own.__qualname__}`."

    def tell(form: Form) -> Form:
        # Since Python 3.13 the margin is gone already.
        whole = (own.__doc__ or "").rstrip().replace("\n        ", "\n")
        parts = (whole, (form.__doc__ or "").removeprefix(see).strip(), but)
        form.__doc__ = "\n\n".join(part for part in parts if part)
        return form

    return tell
