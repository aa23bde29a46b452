"""The package itself: quick to import, needing nothing, typed."""

from __future__ import annotations

import inspect
import subprocess
import sys
import typing
from collections.abc import Callable
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import evercandle
import pytest

ONLY_FOR_TESTS = {"blunder", "start_blunder"}
"""What the native client has where it was built for tests."""

HEAVY = ("polars", "pandas", "pyarrow", "numpy", "matplotlib", "tqdm", "asyncio", "json", "dataclasses", "inspect")


def test_importing_loads_nothing_that_was_not_asked_for() -> None:
    code = f"import sys, evercandle; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_nothing_else_is_needed() -> None:
    needed = [one for one in requires("evercandle") or [] if "extra ==" not in one]
    assert needed == []


def test_it_is_typed_and_every_public_name_is_there_and_described() -> None:
    assert (Path(evercandle.__file__).parent / "py.typed").is_file()
    for name in evercandle.__all__:
        thing: Any = getattr(evercandle, name)
        if inspect.isclass(thing) or inspect.isfunction(thing) or inspect.ismodule(thing):
            assert thing.__doc__, name
            if inspect.isclass(thing) and thing.__module__.startswith("evercandle"):
                for member, value in vars(thing).items():
                    if not member.startswith("_") and (inspect.isfunction(value) or isinstance(value, property)):
                        assert value.__doc__, f"{name}.{member}"


def test_the_native_stub_says_what_is_there() -> None:
    """Every name in the stub exists, and every name that exists is in the stub."""
    import ast

    from evercandle import _native  # pyright: ignore[reportPrivateUsage]

    stub = ast.parse((Path(evercandle.__file__).parent / "_native.pyi").read_text())
    for node in stub.body:
        if isinstance(node, ast.ClassDef):
            told = {item.name for item in node.body if isinstance(item, ast.FunctionDef)} - {"__new__", "__len__"}
            members: list[str] = list(getattr(_native, node.name).__dict__)
            real = {name for name in members if not name.startswith("__")} - ONLY_FOR_TESTS
            assert told - {"__array_interface__"} == real, node.name
    functions = {node.name for node in stub.body if isinstance(node, ast.FunctionDef)}
    classes = {node.name for node in stub.body if isinstance(node, ast.ClassDef)}
    real_names = {name for name in vars(_native) if not name.startswith("_")}
    assert functions | classes | {"VERSION", "DEBUG"} == real_names


def test_a_missing_library_is_named_with_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, client: evercandle.Client
) -> None:
    klines = client.get_data("BTCUSDT", "1d", "2024-01-01", "2024-01-10")
    missing: list[tuple[str, str, Callable[[], object]]] = [
        ("polars", "polars", klines.to_polars),
        ("pandas", "pandas", klines.to_pandas),
        ("pyarrow", "arrow", klines.to_arrow),
        ("numpy", "numpy", klines.to_numpy),
        ("matplotlib", "plot", klines.plot),
    ]
    for library, extra, ask in missing:
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, library, None)
            with pytest.raises(ImportError) as caught:
                ask()
        assert str(caught.value) == f"this needs {library}: pip install 'evercandle[{extra}]'"
        assert caught.value.name == library


QUESTIONS = ("get_data", "funding_rates", "price", "prices", "sentiment", "health", "download")


@pytest.mark.parametrize("question", QUESTIONS)
def test_help_says_of_every_form_of_a_question_what_it_takes(question: str) -> None:
    whole = inspect.getdoc(getattr(evercandle.Client, question))
    function = inspect.getdoc(getattr(evercandle, question))
    assert whole and function
    assert function.startswith(whole) and "``simulate``" in function[len(whole) :]
    assert (inspect.getdoc(getattr(evercandle.AsyncClient, question)) or "").startswith(whole)


@pytest.mark.parametrize("question", QUESTIONS)
def test_type_hints_can_be_had_at_run_time(question: str) -> None:
    for owner in (evercandle, evercandle.Client, evercandle.AsyncClient):
        answer = typing.get_type_hints(getattr(owner, question))["return"]
        assert getattr(evercandle, answer.__name__) is answer, "who wants to name it can"


@pytest.mark.parametrize("kind", [evercandle.Client, evercandle.AsyncClient])
def test_a_wrong_parameter_of_a_client_is_told_of_the_client(kind: Callable[..., object]) -> None:
    with pytest.raises(TypeError, match=r"^Client\(\) got an unexpected keyword argument 'cachedir'"):
        kind(cachedir="/tmp")
