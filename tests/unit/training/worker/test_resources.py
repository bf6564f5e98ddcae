from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.worker import resources
from training.worker.devices import DevicePool, visible_gpus
from training.worker.resources import Machine, Needs, needs_of, shortage_of, this_machine

GIB = 2**30
SIZES = st.integers(0, 10 * GIB)


@given(need=SIZES, free=SIZES, more=SIZES)
def test_jobs_that_fit_start_and_others_say_what_is_missing(need: int, free: int, more: int) -> None:
    shortage = shortage_of(Needs(disk=need, memory=0), Machine(disk_free=free, disk_total=free + more))
    assert (shortage is None) == (need <= free)
    if shortage is not None:
        assert shortage.lasting == (need > free + more)
        assert "disk" in shortage.words


def test_missing_memory_is_named_with_what_to_do() -> None:
    machine = Machine(disk_free=GIB, disk_total=GIB, memory_free=GIB, memory_total=4 * GIB)
    waits = shortage_of(Needs(disk=0, memory=2 * GIB), machine)
    never = shortage_of(Needs(disk=0, memory=5 * GIB), machine)
    assert waits is not None
    assert never is not None
    assert not waits.lasting
    assert "2.0 GB of memory and the worker has 1.0 GB free" in waits.words
    assert never.lasting
    assert "smaller batch size" in never.words


def test_memory_that_cannot_be_known_stops_nobody() -> None:
    assert shortage_of(Needs(disk=0, memory=100 * GIB), Machine(disk_free=1, disk_total=1)) is None


def test_training_a_network_needs_more_than_looking_at_it() -> None:
    common = {"is_image": True, "dataset_bytes": 10**7, "examples": 1000, "batch_size": 32}
    frozen = needs_of(strategy="frozen", **common)  # type: ignore[arg-type]
    trained = needs_of(strategy="finetune", **common)  # type: ignore[arg-type]
    assert trained.disk > frozen.disk
    assert trained.memory > frozen.memory


def test_memory_of_features_has_a_bound_and_the_disk_has_none() -> None:
    """A million texts lie on the disk; in memory are as many as a head is fitted on at a time."""

    def fast(examples: int, *, is_image: bool) -> Needs:
        return needs_of(
            strategy="frozen", is_image=is_image, dataset_bytes=0, examples=examples, batch_size=32
        )

    for is_image, many in ((True, 100_000), (False, 1_000_000)):
        few, much = fast(many // 100, is_image=is_image), fast(many, is_image=is_image)
        assert few.memory < much.memory < 2 * GIB
        assert fast(10 * many, is_image=is_image).memory == fast(100 * many, is_image=is_image).memory
        assert much.disk - few.disk > GIB // 2


def test_this_machine_is_measured(tmp_path: Path) -> None:
    machine = this_machine(tmp_path)
    assert 0 < machine.disk_free <= machine.disk_total
    assert machine.memory_free is not None
    assert machine.memory_total is not None
    assert 0 < machine.memory_free <= machine.memory_total


@pytest.mark.parametrize(("limit", "free"), [("1073741824", GIB // 2 + 2**20), ("max", 3 * GIB)])
def test_container_has_what_its_limit_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, free: int
) -> None:
    (tmp_path / "meminfo").write_text(f"MemTotal: {4 * GIB // 1024} kB\nMemAvailable: {3 * GIB // 1024} kB\n")
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "memory.current").write_text(f"{GIB // 2}\n")
    (tmp_path / "memory.stat").write_text(f"anon 5\ninactive_file {2**20}\nactive_file 0\n")
    monkeypatch.setattr(resources, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(resources, "CGROUP", tmp_path)
    assert this_machine(tmp_path).memory_free == free


@pytest.mark.parametrize(
    ("named", "count"), [(None, 2), ("", 0), ("-1", 0), ("1", 1), ("0,1", 2), ("0,1,2,3", 2)]
)
def test_gpus_are_those_that_are_there_and_named(tmp_path: Path, named: str | None, count: int) -> None:
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "null"):
        (tmp_path / name).touch()
    assert visible_gpus({} if named is None else {"CUDA_VISIBLE_DEVICES": named}, tmp_path) == count


def test_each_job_gets_a_gpu_of_its_own_and_gives_it_back() -> None:
    pool = DevicePool(2)
    with pool.take() as first, pool.take() as second, pool.take() as third:
        assert {first, second, third} == {"cuda:0", "cuda:1", ""}
    with pool.take() as again:
        assert again


def test_one_gpu_is_chosen_by_the_trainer() -> None:
    with DevicePool(1).take() as device:
        assert device == ""
