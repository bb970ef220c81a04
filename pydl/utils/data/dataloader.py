"""The loader: batches of a data set, prepared by background threads while kernels run.

Workers are threads: decoding and kernels let go of the GIL, and nothing is copied between processes. What a batch
holds depends on the seed alone. The loader draws one number at the start of an epoch; from it come the sampler's order
and, for each batch, a generator of its own, which every pydl draw uses while that batch is made. So neither the number
of workers nor their timing changes a batch, and a training loop may draw meanwhile.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import pydl
from pydl import Generator, _core
from pydl.utils.data.collate import default_collate, default_convert
from pydl.utils.data.dataset import Dataset, IterableDataset, _count
from pydl.utils.data.sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler, _fresh_seed

if TYPE_CHECKING:
    from concurrent.futures import Future
    from queue import SimpleQueue

__all__ = ["DataLoader", "WorkerInfo", "get_worker_info"]

FIXED = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")


@dataclass(frozen=True)
class WorkerInfo:
    """What `get_worker_info` tells inside a worker: its number, how many there are, its own seed in this epoch.

    >>> from pydl.utils.data import DataLoader, get_worker_info
    >>> list(DataLoader(range(3), num_workers=1, collate_fn=lambda batch: get_worker_info().id))
    [0, 0, 0]
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any


_this_thread = threading.local()


def get_worker_info() -> WorkerInfo | None:
    """The worker that calls, None outside of workers.

    >>> from pydl.utils.data import DataLoader, get_worker_info
    >>> list(DataLoader(range(4), num_workers=2, collate_fn=lambda batch: get_worker_info().num_workers))
    [2, 2, 2, 2]
    >>> get_worker_info() is None
    True
    """
    return getattr(_this_thread, "info", None)


class DataLoader:
    """Iterates over batches of a data set.

    `batch_size` samples, in the order of `sampler` (or in random order with `shuffle`), become a batch by
    `collate_fn`; `batch_sampler` gives lists of indices itself; `batch_size=None` yields single samples. `num_workers`
    threads prepare `prefetch_factor` batches each (default 2) ahead; batches come in order. `timeout` is how many
    seconds to wait for one, 0 for ever; `worker_init_fn(id)` runs in each new worker; `persistent_workers` keeps them
    between epochs. `generator` is where the epoch's seed and the random order come from. A sample that is being loaded
    cannot be interrupted, but does not keep the process from ending.

    An exception while a sample is loaded reaches the caller as it is, with the sample's index in its message, or in a
    note (Python 3.11) where the message is not just a text.

    An `IterableDataset` is read by one worker, whatever `num_workers`: its samples have one order.

    >>> import pydl
    >>> from pydl.utils.data import DataLoader, TensorDataset
    >>> loader = DataLoader(TensorDataset(pydl.arange(6.0)), batch_size=3, num_workers=2)
    >>> [batch.tolist() for (batch,) in loader]
    [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Sampler[int] | Iterable[int] | None = None,
        batch_sampler: Sampler[list[int]] | Iterable[list[int]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        if num_workers < 0:
            raise ValueError(f"DataLoader: expected num_workers of at least 0, got {num_workers}")
        if timeout < 0:
            raise ValueError(f"DataLoader: expected a timeout of at least 0, got {timeout}")
        if num_workers == 0 and prefetch_factor is not None:
            raise ValueError(f"DataLoader: expected prefetch_factor=None with num_workers=0, got {prefetch_factor}")
        if prefetch_factor is not None and prefetch_factor < 1:
            raise ValueError(f"DataLoader: expected prefetch_factor of at least 1, got {prefetch_factor}")
        if persistent_workers and num_workers == 0:
            raise ValueError("DataLoader: expected num_workers above 0 with persistent_workers=True, got 0")
        if not in_order:
            raise NotImplementedError(f"DataLoader: expected in_order=True, batches come in order, got {in_order}")
        if pin_memory or pin_memory_device:
            warnings.warn("DataLoader: memory is not pinned, there is no accelerator", stacklevel=2)

        self._iterable = isinstance(dataset, IterableDataset)
        if self._iterable:
            for name, given in (("shuffle", shuffle or None), ("sampler", sampler), ("batch_sampler", batch_sampler)):
                if given is not None:
                    raise ValueError(f"DataLoader: expected no {name} with an IterableDataset, got {given!r}")
        if sampler is not None and shuffle:
            raise ValueError("DataLoader: expected a sampler or shuffle=True, got both")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "DataLoader: expected no batch_size, shuffle, sampler or drop_last with a batch_sampler, got "
                    f"batch_size={batch_size}, shuffle={shuffle}, sampler={sampler}, drop_last={drop_last}"
                )
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError("DataLoader: expected drop_last=False with batch_size=None, got drop_last=True")
        if sampler is None and not self._iterable:
            sized = cast(Sized, dataset)
            sampler = RandomSampler(sized, generator=generator) if shuffle else SequentialSampler(sized)
        if batch_size is not None:
            # What an iterable data set, which has no sampler, is asked for is how many, not which.
            batch_sampler = BatchSampler(itertools.repeat(0) if sampler is None else sampler, batch_size, drop_last)

        self.dataset = dataset
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.num_workers = num_workers
        self.multiprocessing_context = multiprocessing_context
        self.prefetch_factor = 2 if prefetch_factor is None and num_workers else prefetch_factor
        self.collate_fn = collate_fn or (default_convert if batch_sampler is None else default_collate)
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.generator = generator
        self.persistent_workers = persistent_workers
        self.in_order = in_order
        self._workers: _Workers | None = None
        self._initialized = True

    @property
    def multiprocessing_context(self) -> None:
        """None: workers are threads."""
        return None

    @multiprocessing_context.setter
    def multiprocessing_context(self, context: Any) -> None:
        if context is not None:
            raise NotImplementedError(
                f"DataLoader: expected no multiprocessing_context, workers are threads, got {context!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in FIXED and getattr(self, "_initialized", False):
            raise ValueError(f"{type(self).__name__}: expected no new {name} after it was made, got {value!r}")
        super().__setattr__(name, value)

    def __iter__(self) -> Iterator[Any]:
        seed = _fresh_seed(self.generator)
        work = _Epoch(self, seed)
        if self.num_workers == 0:
            return _Direct(self, work)
        workers = self._workers or _Workers(1 if self._iterable else self.num_workers, self.worker_init_fn, work)
        if self.persistent_workers:
            self._workers = workers
        return _Prefetching(self, work, workers)

    def __len__(self) -> int:
        if not self._iterable:
            return _count(self.sampler if self.batch_sampler is None else self.batch_sampler)
        length = _count(self.dataset)
        if self.batch_size is None:
            return length
        return length // self.batch_size if self.drop_last else math.ceil(length / self.batch_size)


@contextlib.contextmanager
def _drawing_from(seed: int) -> Iterator[None]:
    """Draws of this thread that name no generator come from one with this seed."""
    generator = pydl.Generator().manual_seed(seed)
    before = _core._set_thread_generator(generator)
    try:
        yield
    finally:
        _core._set_thread_generator(before)


_Task = tuple["Future[Any]", "_Epoch", int, Any]  # the batch to come, its epoch, its number, its indices
_END = object()  # what an iterable data set gives instead of a batch when it is exhausted


class _Epoch:
    """One pass over the data: which batches there are (asked by the caller's thread), and how to make one of them."""

    def __init__(self, loader: DataLoader, seed: int) -> None:
        self.dataset = loader.dataset
        self.collate = loader.collate_fn
        self.seed = seed
        self.batched = loader.batch_sampler is not None
        self.drop_last = loader.drop_last
        self.samples: Iterator[Any] | None = None  # of an iterable data set
        self.iterable = loader._iterable
        order = loader.batch_sampler if self.batched else loader.sampler
        self._order = iter(order if order is not None else itertools.repeat(0))
        self._order_generator = pydl.Generator().manual_seed(seed)
        self._numbers = itertools.count(1)

    def next_request(self) -> tuple[int, Any] | None:
        """The number of the next batch and the indices it consists of."""
        before = _core._set_thread_generator(self._order_generator)
        try:
            indices = next(self._order, None)
        finally:
            _core._set_thread_generator(before)
        return None if indices is None else (next(self._numbers), indices)

    def make(self, number: int, indices: Any) -> Any:
        with _drawing_from(self.seed + number):
            return self._from_iterable(indices) if self.iterable else self._from_indices(indices)

    def _from_iterable(self, places: Any) -> Any:
        if self.samples is None:
            self.samples = iter(self.dataset)
        if not self.batched:
            sample: Any = next(self.samples, _END)
            return _END if sample is _END else self.collate(sample)
        found = list(itertools.islice(self.samples, len(places)))
        complete = len(found) == len(places)
        return self.collate(found) if complete or (found and not self.drop_last) else _END

    def _from_indices(self, indices: Any) -> Any:
        if not self.batched:
            return self.collate(self._sample(indices))
        if self.collate is default_collate:
            whole = getattr(self.dataset, "__getbatch__", None)
            if callable(whole):
                return whole(indices)
        several = getattr(self.dataset, "__getitems__", None)
        return self.collate(several(indices) if callable(several) else [self._sample(index) for index in indices])

    def _sample(self, index: Any) -> Any:
        try:
            return self.dataset[index]
        except Exception as error:
            _name_sample(error, f"sample {index} of {type(self.dataset).__name__}")
            raise


def _name_sample(error: Exception, sample: str) -> None:
    """Adds the sample to the message of an error that is made from its message alone, else as a note."""
    args, message = error.args, str(error)
    if args == (message,):
        error.args = (f"{message} ({sample})",)
    if str(error) == message:
        error.args = args
        if hasattr(error, "add_note"):
            error.add_note(sample)


class _Direct:
    """An epoch whose batches are made when asked for, by the thread that asks."""

    def __init__(self, loader: DataLoader, epoch: _Epoch) -> None:
        self._epoch = epoch
        self._length = loader.__len__

    def __iter__(self) -> _Direct:
        return self

    def __len__(self) -> int:
        return self._length()

    def __next__(self) -> Any:
        request = self._epoch.next_request()
        batch = _END if request is None else self._epoch.make(*request)
        if batch is _END:
            raise StopIteration
        return batch


class _Workers:
    """Threads that make batches, gone when nothing refers to them. As daemons they do not keep the process from ending,
    even where a sample never does."""

    def __init__(self, count: int, init: Callable[[int], None] | None, epoch: _Epoch) -> None:
        from queue import SimpleQueue

        self.count = count
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        for number in range(count):
            info = WorkerInfo(number, count, epoch.seed + number, epoch.dataset)
            threading.Thread(
                target=_work, args=(self._tasks, init, info), name=f"pydl-data-{number}", daemon=True
            ).start()

    def submit(self, epoch: _Epoch, number: int, indices: Any) -> Future[Any]:
        from concurrent.futures import Future

        batch: Future[Any] = Future()
        self._tasks.put((batch, epoch, number, indices))
        return batch

    def close(self) -> None:
        for _ in range(self.count):
            self._tasks.put(None)

    __del__ = close


def _work(tasks: SimpleQueue[_Task | None], init: Callable[[int], None] | None, info: WorkerInfo) -> None:
    """What a worker does: `init`, then one task after another until there is None."""
    _core._set_serial_thread(True)
    _this_thread.info = info
    failure = None
    try:
        if init is not None:
            with _drawing_from(info.seed):
                init(info.id)
    except BaseException as error:
        failure = error  # raised by this worker's batches, where the caller sees it
    while (task := tasks.get()) is not None:
        epoch = task[1]
        _this_thread.info = WorkerInfo(info.id, info.num_workers, epoch.seed + info.id, epoch.dataset)
        _run(failure, *task)
        del task, epoch  # while it waits, a worker keeps no batch alive


def _run(failure: BaseException | None, batch: Future[Any], epoch: _Epoch, number: int, indices: Any) -> None:
    if not batch.set_running_or_notify_cancel():
        return
    try:
        if failure is not None:
            raise failure
        batch.set_result(epoch.make(number, indices))
    except BaseException as error:
        batch.set_exception(error)
        del batch  # the error's traceback refers to this frame


class _Prefetching:
    """An epoch whose batches are made ahead, in order."""

    def __init__(self, loader: DataLoader, epoch: _Epoch, workers: _Workers) -> None:
        self._epoch = epoch
        self._workers = workers
        self._keep = loader.persistent_workers
        self._timeout = loader.timeout or None
        self._length = loader.__len__
        self._pending: deque[Future[Any]] = deque()
        for _ in range(workers.count * (loader.prefetch_factor or 2)):
            self._request()

    def _request(self) -> None:
        request = self._epoch.next_request()
        if request is not None:
            self._pending.append(self._workers.submit(self._epoch, *request))

    def __iter__(self) -> _Prefetching:
        return self

    def __len__(self) -> int:
        return self._length()

    def __next__(self) -> Any:
        from concurrent.futures import TimeoutError

        if not self._pending:
            self.close()
            raise StopIteration
        batch = self._pending.popleft()
        self._request()
        try:
            made = batch.result(self._timeout)
        except TimeoutError as error:
            if batch.done():
                raise
            self.close()
            raise RuntimeError(f"DataLoader: expected a batch within {self._timeout} seconds, got none") from error
        if made is _END:
            self.close()
            raise StopIteration
        return made

    def close(self) -> None:
        """Drops what is not made yet; what a worker is making, it finishes unseen."""
        while self._pending:
            self._pending.popleft().cancel()
        if not self._keep:
            self._workers.close()

    def __del__(self) -> None:
        self.close()
