"""What of crypto-kline-vision-data is not in ``evercandle.ckvd``: asking for it names it and says what to use instead."""

from __future__ import annotations

import importlib
import pickle
from importlib.util import find_spec

import pytest
from evercandle.ckvd import CryptoKlineVisionData
from evercandle.ckvd.errors import NotOfferedError


@pytest.mark.parametrize(
    ("module", "name", "instead"),
    [
        ("core.providers.okx.okx_rest_client", "OKXRestClient", "there is Binance's"),
        ("core.providers.binance.rest_data_client", "RestDataClient", "enforce_source"),
        ("core.streaming.reconciler", "Reconciler", "GET /v1/stream"),
        ("_reconciler", "DedupEngine", "GET /v1/stream"),
        ("utils.gap_detector", "detect_gaps", "attrs"),
        ("utils.cache.memory_map", "SafeMemoryMap", r"evercandle\.Client\(\)\.cache"),
        ("utils.config", "REST_CHUNK_SIZE", "CKVDConfig"),
        ("utils.for_core.rest_metrics", "log_rest_metrics", "enforce_source"),
        ("utils.loguru_setup", "logger", "getLogger"),
        ("utils.market_constraints", "get_market_capabilities", "get_capabilities"),
        ("utils.time_utils", "align_time_boundaries", "calculate_time_range"),
        ("utils.validation", "DataFrameValidator", "DataNotAvailableError"),
        ("core.sync.ckvd_lib", "DEFAULT", "get_data"),
    ],
)
def test_importing_what_is_not_there_names_it_and_says_what_to_use(module: str, name: str, instead: str) -> None:
    with pytest.raises(NotOfferedError, match=rf"^ckvd\.{module.split('.')[0]}.* is not offered .*{instead}") as caught:
        exec(f"from evercandle.ckvd.{module} import {name}", {})
    assert isinstance(caught.value, ImportError), "programs that try whether there is one go on"


@pytest.mark.parametrize("module", ["utils.market_constraints", "utils.config", "core.sync.ckvd_lib", "utils.market"])
def test_whether_a_module_has_a_name_can_be_asked(module: str) -> None:
    assert not hasattr(importlib.import_module(f"evercandle.ckvd.{module}"), "nonsense")


def test_a_module_that_is_asked_for_a_name_says_what_to_use() -> None:
    constraints = importlib.import_module("evercandle.ckvd.utils.market_constraints")
    with pytest.raises(NotOfferedError, match=r"^ckvd\.utils\.market_constraints\.estimate .*get_capabilities"):
        getattr(constraints, "estimate")
    assert hasattr(constraints, "get_default_symbol")


def test_whether_there_is_a_module_can_be_asked() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"ckvd\.utils\.gap_detector is not offered"):
        find_spec("evercandle.ckvd.utils.gap_detector")
    assert find_spec("evercandle.ckvd.utils.market_constraints") is not None


def test_names_of_packages_are_missed_like_modules() -> None:
    with pytest.raises(ImportError, match=r"ckvd\.utils\.detect_gaps is not offered"):
        exec("from evercandle.ckvd.utils import detect_gaps", {})


def test_what_that_package_has_not_either_is_missed_as_ever() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'evercandle\.ckvd\.nonsense'"):
        importlib.import_module("evercandle.ckvd.nonsense")


@pytest.mark.parametrize(
    ("name", "instead"),
    [("cache_manager", r"Client\(\)\.cache"), ("rest_client", "REST"), ("vision_client", "VISION")],
)
def test_managers_have_no_clients_of_their_own_and_say_so(name: str, instead: str) -> None:
    manager = CryptoKlineVisionData()
    with pytest.raises(NotOfferedError, match=rf"CryptoKlineVisionData\.{name} is not offered .*{instead}"):
        getattr(manager, name)
    assert getattr(manager, name, None) is None, "as after close() in that package"
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        getattr(manager, "nonsense")
    assert repr(pickle.loads(pickle.dumps(manager))) == repr(manager)
