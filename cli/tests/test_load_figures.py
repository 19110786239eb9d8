"""The arithmetic of `petit load`: quantiles, exponents, plots, and what is read from `/proc`."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petit.cli.load.growth import exponent
from petit.cli.load.lanes import message_id
from petit.cli.load.latency import of_arrivals, quantiles
from petit.cli.load.meter import NoProcess, cpu_seconds, parse_pids, pss_bytes, read_state
from petit.cli.load.plan import MAX, Address, parse_rates
from petit.cli.load.plot import histogram
from petit.contracts.ids import is_uuid, uuid7_ms


@given(st.lists(st.integers(0, 100_000), min_size=1))
def test_a_quantile_is_a_latency_that_so_many_did_not_exceed(latencies: list[int]) -> None:
    found = quantiles(Counter(latencies))

    assert found.count == len(latencies)
    assert found.worst == max(latencies) / 100
    assert sum(one / 100 <= found.p50 for one in latencies) >= len(latencies) / 2
    assert found.p50 <= found.p90 <= found.p99 <= found.p999 <= found.worst


def test_no_latencies_have_quantiles_of_0() -> None:
    assert quantiles(Counter()).p999 == 0.0


def test_latency_counts_from_when_a_message_was_due() -> None:
    due = [0, 1_000_000, 2_000_000]

    found = of_arrivals([(3_000_000, 2)], due=due, start=1)

    assert found == Counter({200: 1, 100: 1})


@pytest.mark.parametrize("slope", [-0.5, 0.0, 0.05, 1.0])
def test_the_exponent_is_that_of_the_power_law(slope: float) -> None:
    points = [(size, 7 * size**slope) for size in (1e4, 1e5, 1e6)]

    assert exponent(points) == pytest.approx(slope)


def test_one_size_has_no_exponent() -> None:
    assert exponent([(1e4, 7.0)]) == 0.0


@given(st.dictionaries(st.integers(0, 10**7), st.integers(1, 10**6)))
def test_a_histogram_shows_every_delivery_on_few_lines(counts: dict[int, int]) -> None:
    lines = histogram(counts)

    assert len(lines) <= 26
    assert not counts or lines[-1].endswith("100.000 %")


def test_message_ids_are_distinct_uuids_of_version_7() -> None:
    ids = {message_id(number) for number in range(5_000)}

    assert len(ids) == 5_000
    assert all(is_uuid(one) and uuid7_ms(one) is not None for one in ids)


def test_processes_are_found_in_the_state_of_petit_up(tmp_path: Path) -> None:
    state = {"supervisor": os.getpid(), "processes": {"all": os.getppid()}}
    (tmp_path / "run.json").write_text(json.dumps(state))

    found = read_state(tmp_path)

    assert {process.name: process.pid for process in found} == {"supervisor": os.getpid(), "all": os.getppid()}
    assert cpu_seconds(found).keys() == {"supervisor", "all"}


def test_memory_is_that_of_the_process_and_its_share() -> None:
    (own,) = pss_bytes(parse_pids(f"me={os.getpid()}")).values()

    assert 1_000_000 < own < 10**10


@pytest.mark.parametrize("text", ["0", "nobody=1x", "x=999999999"])
def test_a_process_that_is_not_there_is_named(text: str) -> None:
    with pytest.raises(NoProcess):
        parse_pids(text)


def test_a_folder_where_nothing_runs_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoProcess, match=r"run\.json"):
        read_state(tmp_path)


def test_rates_are_steps() -> None:
    assert parse_rates("100, 200.5,max") == (100.0, 200.5, MAX)


@pytest.mark.parametrize("text", ["", "0", "-1", "fast", "nan", "max,0"])
def test_rates_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"rate|float"):
        parse_rates(text)


@pytest.mark.parametrize("url", ["https://x", "127.0.0.1:8080", "http://x/path", "http://x:y"])
def test_a_base_url_that_is_not_plain_http_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"base URL|[Pp]ort"):
        Address.parse(url)
