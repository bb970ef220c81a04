"""Data sets, samplers, collation and the loader: PyTorch's results, the same order for a seed whatever the workers."""
from __future__ import annotations

import collections
import threading
import time

import numpy as np
import pytest
from support import python

import pydl
from pydl.utils import data
from pydl.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

WORKERS = (0, 1, 3)


class Squares(Dataset):
    def __init__(self, n: int) -> None:
        self.n = n

    def __getitem__(self, i):
        if not 0 <= i < self.n:
            raise IndexError(i)
        return pydl.tensor(float(i * i)), i

    def __len__(self) -> int:
        return self.n


class Noise(Dataset):
    """Random samples, drawn while other threads draw too."""

    def __getitem__(self, i):
        return pydl.rand(3) + i

    def __len__(self) -> int:
        return 20


class Count(IterableDataset):
    def __init__(self, n: int) -> None:
        self.n = n

    def __iter__(self):
        return iter(range(self.n))


# ---- Data sets -------------------------------------------------------------------------------------------------------
def test_tensor_dataset_gathers_once_a_batch():
    x, y = pydl.randn(10, 3), pydl.arange(10)
    dataset = TensorDataset(x, y)
    assert len(dataset) == 10 and dataset[3][1].item() == 3
    a, b = dataset.__getbatch__([4, -1, 4])
    assert b.tolist() == [4, 9, 4] and np.array_equal(a.numpy(), x.numpy()[[4, -1, 4]])

    class Changed(TensorDataset):
        def __getitem__(self, i):
            return self.tensors[1][i] + 100

    assert next(iter(DataLoader(Changed(x, y), 2))).tolist() == [100, 101]
    part = Subset(Subset(dataset, [5, 6, 7, 8]), [3, 0])
    assert [b.tolist() for _, b in DataLoader(part, 2)] == [[8, 5]]
    with pytest.raises(AssertionError, match=r"TensorDataset: expected tensors of one length, got 10 and 4"):
        TensorDataset(x, y[:4])


def test_joining_and_splitting():
    a, b = Squares(3), Squares(4)
    both = a + b
    assert len(both) == 7 and both[3][1] == 0 and both[-1][1] == 3
    with pytest.raises(ValueError, match="ConcatDataset: expected an index of at least -7, got -8"):
        both[-8]
    with pytest.raises(IndexError):
        both[7]
    stacked = data.StackDataset(x=Squares(3), y=TensorDataset(pydl.arange(3)))
    assert stacked[2]["x"][1] == 2 and [s["y"][0].item() for s in stacked.__getitems__([2, 0])] == [2, 0]
    assert data.StackDataset(Squares(3), Squares(3))[1][0][1] == 1
    with pytest.raises(ValueError, match=r"StackDataset: expected data sets of one length, got 3 and 4"):
        data.StackDataset(Squares(3), Squares(4))
    assert list(Count(2) + Count(3)) == [0, 1, 0, 1, 2]

    class Changed(Subset):
        def __getitem__(self, i):
            return 0

    with pytest.raises(NotImplementedError, match="Changed: expected an own __getitems__"):
        Changed(a, [0])


def test_random_split():
    parts = data.random_split(Squares(10), [0.5, 0.25, 0.25], generator=pydl.Generator().manual_seed(3))
    assert [len(p) for p in parts] == [6, 2, 2] and sorted(i for p in parts for i in p.indices) == list(range(10))
    again = data.random_split(Squares(10), [6, 2, 2], generator=pydl.Generator().manual_seed(3))
    assert [p.indices for p in parts] == [p.indices for p in again]
    with pytest.raises(ValueError, match=r"random_split: expected lengths that add up to 10, got \[5, 4\]"):
        data.random_split(Squares(10), [5, 4])


# ---- Samplers --------------------------------------------------------------------------------------------------------
def test_samplers():
    assert list(data.SequentialSampler(range(4))) == [0, 1, 2, 3]
    order = list(data.RandomSampler(range(50)))
    assert order != list(range(50)) and sorted(order) == list(range(50))
    assert len(list(data.RandomSampler(range(5), num_samples=12))) == 12
    drawn = list(data.RandomSampler(range(5), replacement=True, num_samples=100))
    assert len(drawn) == 100 and set(drawn) <= set(range(5))
    assert sorted(data.SubsetRandomSampler([4, 8, 15])) == [4, 8, 15]
    weighted = list(data.WeightedRandomSampler([0, 1, 3], 4000))
    assert 0 not in weighted and 0.70 < np.mean(np.array(weighted) == 2) < 0.80
    assert list(data.BatchSampler(range(5), 2, True)) == [[0, 1], [2, 3]]
    assert [len(data.BatchSampler(range(5), 2, drop)) for drop in (True, False)] == [2, 3]
    for bad in (lambda: data.BatchSampler(range(5), 0, False), lambda: data.RandomSampler([]),
                lambda: data.WeightedRandomSampler([[1.0]], 2), lambda: data.BatchSampler(range(5), 2, 1)):
        with pytest.raises(ValueError):
            bad()


# ---- Collation -------------------------------------------------------------------------------------------------------
def test_collation_is_that_of_pytorch(torch_or_fail):
    Point = collections.namedtuple("Point", "x y")

    def batch(lib):
        return [{"t": lib.ones(2), "i": i, "f": 0.5, "s": "a", "b": True, "a": np.arange(3), "n": np.float32(2),
                 "tuple": (1, 2.0), "list": [1, lib.zeros(1)], "point": Point(1, lib.ones(1))} for i in range(3)]

    ours, theirs = data.default_collate(batch(pydl)), torch_or_fail.utils.data.default_collate(batch(torch_or_fail))

    def same(a, b):
        if isinstance(b, torch_or_fail.Tensor):
            assert str(a.dtype)[5:] == str(b.dtype)[6:] and a.tolist() == b.tolist()
        elif isinstance(b, dict):
            assert list(a) == list(b)
            for key in b:
                same(a[key], b[key])
        elif isinstance(b, (list, tuple)):
            assert type(a) is type(b) and len(a) == len(b)
            for x, y in zip(a, b):
                same(x, y)
        else:
            assert a == b

    same(ours, theirs)
    assert data.default_convert({"a": np.ones(2), "s": "x"})["a"].tolist() == [1, 1]
    with pytest.raises(TypeError, match="default_collate: expected"):
        data.default_collate([object()])
    with pytest.raises(RuntimeError, match="default_collate: expected samples of one length, got 1 and 2"):
        data.default_collate([[1], [1, 2]])
    for ragged in ([np.ones(2), np.ones(3)], [np.ones((2, 1)), 1.0]):
        with pytest.raises(pydl.ShapeError, match=r"default_collate: expected samples of one shape, got \[2.*\] and"):
            data.default_collate(ragged)


# ---- The loader ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("workers", WORKERS)
def test_batches(workers):
    loader = DataLoader(Squares(10), batch_size=4, num_workers=workers)
    assert len(loader) == 3
    for _ in range(2):
        found = list(loader)
        assert [b[1].tolist() for b in found] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
        assert found[1][0].tolist() == [16, 25, 36, 49] and found[1][0].dtype == pydl.float32
    assert len(list(DataLoader(Squares(10), 4, drop_last=True, num_workers=workers))) == 2
    assert [int(i) for _, i in DataLoader(Squares(4), batch_size=None, num_workers=workers)] == [0, 1, 2, 3]
    chosen = DataLoader(Squares(10), batch_sampler=[[1, 2], [7]], num_workers=workers)
    assert [b[1].tolist() for b in chosen] == [[1, 2], [7]] and len(chosen) == 2
    lists = DataLoader(Squares(4), 2, collate_fn=lambda samples: [i for _, i in samples], num_workers=workers)
    assert list(lists) == [[0, 1], [2, 3]]


@pytest.mark.parametrize("workers", WORKERS)
def test_iterable(workers):
    loader = DataLoader(Count(7), batch_size=3, num_workers=workers)
    assert [b.tolist() for b in loader] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [b.tolist() for b in DataLoader(Count(7), 3, drop_last=True, num_workers=workers)] == [[0, 1, 2], [3, 4, 5]]
    assert list(DataLoader(Count(3), batch_size=None, num_workers=workers)) == [0, 1, 2]
    with pytest.raises(ValueError, match="DataLoader: expected no shuffle with an IterableDataset, got True"):
        DataLoader(Count(3), shuffle=True)


def epoch(workers: int, **options) -> list:
    pydl.manual_seed(11)
    loader = DataLoader(Noise(), 3, shuffle=True, num_workers=workers, **options)
    batches = []
    for _ in range(2):
        for batch in loader:
            pydl.rand(5)  # a training loop draws too
            batches.append(batch.numpy())
    return [*batches, pydl.rand(2).numpy()]


def test_a_seed_repeats_whatever_the_workers():
    want = epoch(0)
    assert not np.array_equal(want[0], want[7])  # the second epoch is another
    for workers in (1, 2, 5):
        assert all(np.array_equal(a, b) for a, b in zip(epoch(workers), want))
    assert all(np.array_equal(a, b) for a, b in zip(epoch(3, prefetch_factor=1, persistent_workers=True), want))
    generators = [pydl.Generator().manual_seed(5) for _ in range(2)]
    a, b = (list(DataLoader(Noise(), 4, shuffle=True, generator=g)) for g in generators)
    assert all(np.array_equal(x.numpy(), y.numpy()) for x, y in zip(a, b))


@pytest.mark.parametrize("workers", WORKERS)
def test_exceptions_name_the_sample(workers):
    class Broken(Squares):
        def __getitem__(self, i):
            if i == 5:
                raise LookupError("photo.jpg")
            return super().__getitem__(i)

    found = iter(DataLoader(Broken(8), 2, num_workers=workers))
    assert next(found)[1].tolist() == [0, 1] and next(found)[1].tolist() == [2, 3]
    with pytest.raises(LookupError, match="photo.jpg.*sample 5 of Broken"):
        next(found)
    assert next(found)[1].tolist() == [6, 7]

    def ragged(i):
        raise ValueError("bad start")

    with pytest.raises(ValueError, match="bad start"):
        list(DataLoader(Squares(4), 2, num_workers=1, worker_init_fn=ragged))


class Refusal(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(("kind", "args"), [
    (FileNotFoundError, (2, "No such file or directory", "photo.jpg")), (KeyError, ("photo.jpg",)), (IndexError, (3,)),
    (UnicodeDecodeError, ("utf-8", b"\xff", 0, 1, "invalid start byte")), (Refusal, (7, "no")), (ValueError, ()),
    (ImportError, ("no codec",)), (OSError, ("no image",)), (pydl.ShapeError, ("expected [2], got [3]",)),
])
def test_an_exception_arrives_as_it_was_raised(kind, args, workers):
    error = kind(*args)

    class Broken(Squares):
        def __getitem__(self, i):
            raise error

    with pytest.raises(kind) as caught:
        list(DataLoader(Broken(1), num_workers=workers))
    assert caught.value is error
    for name in ("errno", "filename", "start", "code", "msg"):
        assert getattr(error, name, None) == getattr(kind(*args), name, None)
    if kind in (OSError, pydl.ShapeError):
        assert str(error) == f"{args[0]} (sample 0 of Broken)"
    else:
        assert error.args == kind(*args).args and str(error) == str(kind(*args))
        assert getattr(error, "__notes__", ["sample 0 of Broken"]) == ["sample 0 of Broken"]  # since Python 3.11


def test_workers_run_beside_the_caller():
    names, infos, started, together = set(), [], [], threading.Barrier(3, timeout=20)

    class Meeting(Squares):
        def __getitem__(self, i):
            names.add(threading.current_thread().name)
            infos.append(data.get_worker_info())
            if i % 2 == 0:
                together.wait()  # of three samples in three workers
            return i

    loader = DataLoader(Meeting(12), 2, num_workers=3, worker_init_fn=started.append, persistent_workers=True)
    assert data.get_worker_info() is None
    for _ in range(2):
        assert [b.tolist() for b in loader] == [[i, i + 1] for i in range(0, 12, 2)]
    assert sorted(started) == [0, 1, 2] and threading.current_thread().name not in names
    assert {i.id for i in infos} == {0, 1, 2} and infos[0].num_workers == 3 and infos[0].dataset is loader.dataset

    class Slow(Squares):
        def __getitem__(self, i):
            time.sleep(0.2)

    with pytest.raises(RuntimeError, match="DataLoader: expected a batch within 0.01 seconds, got none"):
        list(DataLoader(Slow(4), 2, num_workers=1, timeout=0.01))


def test_an_abandoned_epoch_stops_its_workers():
    before = threading.active_count()
    for _ in range(3):
        next(iter(DataLoader(Squares(1000), 1, num_workers=4)))
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


@pytest.mark.parametrize("use", [
    "list(DataLoader(Stuck(), num_workers=2, timeout=0.5))",
    "next(iter(DataLoader(Stuck(), num_workers=2, persistent_workers=True)))",
    "interrupt.start(); list(DataLoader(Stuck(), num_workers=1))",
])
def test_a_sample_that_never_ends_does_not_keep_the_process(use):
    program = f"""
import signal, threading, time
import pydl
from pydl.utils.data import DataLoader, Dataset

class Stuck(Dataset):
    def __getitem__(self, i):
        while i:
            time.sleep(0.01)
        return i

    def __len__(self):
        return 4

signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background inherit that it is ignored
interrupt = threading.Timer(0.5, signal.pthread_kill, [threading.get_ident(), signal.SIGINT])
try:
    {use}
except (KeyboardInterrupt, RuntimeError) as error:
    print(type(error).__name__)
print("done")
"""
    assert python(program, timeout=30).split()[-1] == "done"


def test_worker_info():
    seen = {}

    def init(number):
        info = data.get_worker_info()
        assert info.dataset is dataset and pydl.initial_seed() == info.seed
        seen[number] = (info.id, info.num_workers, info.seed, pydl.rand(1).item())

    class Asked(Squares):
        def __getitem__(self, i):
            info = data.get_worker_info()
            assert seen[info.id][:3] == (info.id, info.num_workers, info.seed)
            return i

    dataset, epochs = Asked(4), []
    for _ in range(2):
        pydl.manual_seed(3)
        assert len(list(DataLoader(dataset, num_workers=3, worker_init_fn=init))) == 4
        deadline = time.monotonic() + 5
        while len(seen) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        epochs.append([seen.pop(number) for number in range(3)])
    assert epochs[0] == epochs[1]
    ids, counts, seeds, draws = zip(*epochs[0])
    assert ids == (0, 1, 2) and counts == (3, 3, 3) and len(set(draws)) == 3
    assert seeds == (seeds[0], seeds[0] + 1, seeds[0] + 2)


def test_kernels_of_workers_stay_on_their_thread(threads):
    class Product(Dataset):
        def __getitem__(self, i):
            x = pydl.full((300, 300), 0.5)
            return (x @ x).sum()

        def __len__(self) -> int:
            return 4

    threads(2)
    want = [(pydl.full((300, 300), 0.5) @ pydl.full((300, 300), 0.5)).sum().item()] * 4
    assert [b.item() for b in DataLoader(Product(), num_workers=2)] == want


@pytest.mark.parametrize(("options", "message"), [
    ({"num_workers": -1}, "DataLoader: expected num_workers of at least 0, got -1"),
    ({"timeout": -1}, "timeout of at least 0, got -1"),
    ({"prefetch_factor": 2}, "expected prefetch_factor=None with num_workers=0, got 2"),
    ({"persistent_workers": True}, "persistent_workers"),
    ({"sampler": range(3), "shuffle": True}, "expected a sampler or shuffle=True, got both"),
    ({"batch_sampler": [[1]], "batch_size": 3}, "with a batch_sampler, got batch_size=3"),
    ({"batch_size": 0}, "expected a positive integer batch_size, got 0"),
    ({"batch_size": None, "drop_last": True}, "drop_last"),
])
def test_options_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        DataLoader(Squares(4), **options)
    with pytest.raises(NotImplementedError):
        DataLoader(Squares(4), in_order=False)
    loader = DataLoader(Squares(4))
    assert loader.multiprocessing_context is None
    for wrong in (lambda: setattr(loader, "multiprocessing_context", "fork"),
                  lambda: DataLoader(Squares(4), multiprocessing_context="fork")):
        with pytest.raises(NotImplementedError, match="multiprocessing_context"):
            wrong()
    with pytest.raises(ValueError, match="DataLoader: expected no new batch_size after it was made, got 3"):
        loader.batch_size = 3


def test_signatures(torch_or_fail):
    import inspect
    for name in data.__all__:
        if name == "WorkerInfo":
            continue
        ours, theirs = getattr(data, name), getattr(torch_or_fail.utils.data, name)
        a, b = ([(p.name, p.kind) for p in inspect.signature(f).parameters.values()] for f in (ours, theirs))
        assert a == b, name


def test_modules_have_pytorchs_names():
    from pydl.utils.data.dataloader import DataLoader as FromItsModule
    from pydl.utils.data.dataset import Dataset as FromItsOwn

    assert FromItsModule is DataLoader and issubclass(TensorDataset, FromItsOwn)
