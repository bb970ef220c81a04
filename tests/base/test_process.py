"""The process around the engine: import time, threads, fork, memory in steady state, and what happens at its limits."""
from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from support import python

import pydl


def test_import_time():
    """At most 40 ms beyond NumPy; the best of several fresh interpreters."""
    code = "import time, numpy; a = time.perf_counter(); import pydl; print(time.perf_counter() - a)"
    best = min(float(python(code)) for _ in range(5))
    assert best < 0.040, f"import pydl takes {best * 1000:.0f} ms beyond numpy"


def test_import_starts_no_threads_and_loads_nothing_heavy():
    code = """
import os, sys, pydl
print(len(os.listdir('/proc/self/task')), {'torch', 'tqdm', 'safetensors', 'pydl.keras', 'unittest'} & set(sys.modules))
"""
    assert python(code, OPENBLAS_NUM_THREADS="1") == "1 set()"


def test_show_config_and_info():
    text = python("import pydl; print(pydl.show_config())")
    assert all(word in text.lower() for word in ("isa", "thread", "openmp"))
    info = pydl._core.build_info()
    assert info["isa"] in info["runnable_isas"] and "baseline" in info["runnable_isas"]
    assert set(info["runnable_isas"]) <= set(info["isas"])


# ---- Threads ---------------------------------------------------------------------------------------------------------

def test_set_num_threads(threads):
    for n in (1, 2, 5):
        threads(n)
        assert pydl.get_num_threads() == n
    for wrong in (0, -1):
        with pytest.raises((RuntimeError, ValueError)):
            threads(wrong)


def test_threads_really_run():
    code = """
import os, pydl
pydl.set_num_threads(6)
pydl.ones(1500, 1500) @ pydl.ones(1500, 1500)
print(len(os.listdir('/proc/self/task')) >= 6)
"""
    assert python(code, OPENBLAS_NUM_THREADS="1") == "True"


def test_environment_sets_threads():
    assert python("import pydl; print(pydl.get_num_threads())", OMP_NUM_THREADS="1") == "1"


def test_default_follows_affinity():
    code = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import pydl
print(pydl.get_num_threads())
"""
    environment = {"OMP_NUM_THREADS": ""} if "OMP_NUM_THREADS" in os.environ else {}
    assert python(code, **environment) == "1"


def test_calls_from_many_python_threads():
    """Operators above and below the threading threshold, the allocator and the graph, all at once."""
    failures = []

    def work(k: int) -> None:
        for n in (3, 300):
            x = pydl.full((n, n), 1.0 + k, requires_grad=True)
            (x @ x).sum().backward()
            if abs(x.grad[0, 0].item() - 2 * n * (1.0 + k)) > 1e-3 * n * (1 + k):
                failures.append((k, n))
    workers = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    assert not failures


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("work", ["product", "recurrent", "sum"])
def test_gil_is_released_above_the_threshold(work, count, threads):
    """While something large runs, by one thread or more, another Python thread makes progress."""
    threads(count)
    x, ticks, done = pydl.ones(1200, 1200), [], threading.Event()
    lstm = pydl.nn.LSTM(1200, 64)
    compute = {"product": lambda: x @ x, "recurrent": lambda: lstm(x), "sum": lambda: x.sum()}[work]

    def tick() -> None:
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.0005)
    other = threading.Thread(target=tick)
    other.start()
    start = time.perf_counter()
    while time.perf_counter() - start < 0.3:
        compute()
    done.set()
    other.join()
    assert len(ticks) > 20


@pytest.mark.parametrize("work", [
    "x @ x",
    "(y @ y).sum().backward()",
    "pydl.from_numpy(a) * 2",
    "h = y * 2; h.register_hook(slow); h.grad_fn.register_hook(lambda *g: slow()); Slow.apply(h).sum().backward()",
])
def test_exit_while_threads_compute(work):
    """The interpreter goes down under daemon threads that are inside the engine: the process still ends with 0."""
    code = f"""
import threading, time
import numpy as np, pydl
pydl.set_num_threads(2)
def slow(grad=None):
    time.sleep(0.01)
class Slow(pydl.autograd.Function):
    forward = staticmethod(lambda ctx, x: x * 2)
    backward = staticmethod(lambda ctx, grad: slow() or grad * 2)
def compute():
    x, y, a = pydl.ones(500, 500), pydl.ones(300, 300, requires_grad=True), np.ones(400_000, np.float32)
    while True:
        {work}
for _ in range(2):
    threading.Thread(target=compute, daemon=True).start()
time.sleep(0.2)
print("done")
"""
    assert python(code, timeout=60) == "done"


def test_large_blocks_serve_smaller_requests():
    """Batches of many lengths, as of sentences, share a few blocks instead of keeping one for each length."""
    code = """
import pydl
before = pydl.memory_stats()
for i in range(400):
    x = pydl.empty(100_000 + 110_017 * i % 300_000)
    assert pydl.memory_stats()["allocated"] - before["allocated"] >= x.nbytes - 65536
    del x
after = pydl.memory_stats()
print(after["os_requests"] - before["os_requests"] <= 10, after["cached"] - before["cached"] < 8 << 20,
      abs(after["allocated"] - before["allocated"]) <= 65536)
"""
    assert python(code) == "True True True"


def test_forked_child_computes():
    """After a parallel region in the parent, a forked child still works, serially, and to the same bits."""
    code = """
import os, pydl
x = pydl.ones(400, 400) / 3
want = (x @ x).sum().item()
child = os.fork()
if child == 0:
    ok = (x @ x).sum().item() == want and pydl.randn(10).shape == (10,)
    y = pydl.ones(300, 300, requires_grad=True)
    (y @ y).sum().backward()
    os._exit(0 if ok and y.grad.sum() > 0 else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), (x @ x).sum().item() == want)
"""
    assert python(code, timeout=60) == "0 True"


# ---- Memory ----------------------------------------------------------------------------------------------------------

def train(steps: int) -> None:
    x, y = pydl.randn(32, 784), pydl.randint(0, 10, (32,))
    model = pydl.nn.Sequential(pydl.nn.Linear(784, 128), pydl.nn.ReLU(), pydl.nn.Linear(128, 10))
    optimizer = pydl.optim.Adam(model.parameters())
    for k in range(steps + 20):
        if k == 20:
            train.before = pydl.memory_stats()["os_requests"]
        optimizer.zero_grad()
        pydl.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    train.after = pydl.memory_stats()["os_requests"]


def test_steady_state_asks_the_system_for_nothing():
    train(100)
    assert train.after == train.before


def test_memory_is_returned():
    before = pydl.memory_stats()["allocated"]
    x = pydl.zeros(1000, 1000)
    assert pydl.memory_stats()["allocated"] >= before + 4_000_000
    del x
    assert pydl.memory_stats()["allocated"] <= before + 65536
    pydl.empty_cache()
    assert pydl.memory_stats()["cached"] < 64 << 20


def test_varying_shapes_do_not_grow():
    code = """
import random, pydl
def rss():
    return int(open('/proc/self/statm').read().split()[1]) * 4096
random.seed(0)
for k in range(2000):
    n, m = random.randint(1, 700), random.randint(1, 700)
    (pydl.ones(n, m) * 2).sum()
    if k == 600:
        before = rss()
print((rss() - before) / before < 0.10)
"""
    assert python(code) == "True"


@pytest.mark.parametrize("guard, element", [("end", 5), ("begin", -1)])
def test_guard_pages(guard, element):
    """PYDL_GUARD: fresh memory is NaN, and the first element out of bounds cannot be read."""
    code = f"""
import ctypes, pydl
x = pydl.empty(5)
print(bool(x.isnan().all()), (x.fill_(1) + x).tolist(), flush=True)
ctypes.c_float.from_address(x.data_ptr() + 4 * {element}).value
print("read")
"""
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYDL_GUARD": guard}, capture_output=True,
        text=True, cwd=Path(__file__).parent, check=False)
    assert done.returncode == -signal.SIGSEGV and done.stdout == "True [2.0, 2.0, 2.0, 2.0, 2.0]\n"


def test_guarding_left_to_malloc():
    """PYDL_GUARD=malloc: no block waits in the cache, so that a memory checker sees each one's end."""
    code = """
import pydl
x = pydl.ones(5)
for _ in range(3):
    x = x + x
print(x.tolist(), pydl.memory_stats()["cached"])
"""
    assert python(code, PYDL_GUARD="malloc") == "[8.0, 8.0, 8.0, 8.0, 8.0] 0"


def test_exhaustion_raises():
    """More memory than there is: an exception that is a RuntimeError and a MemoryError, and the engine goes on."""
    for ask in (lambda: pydl.empty(1 << 50), lambda: pydl.zeros(1 << 31, 1 << 20),
            lambda: pydl.ones(1).expand(1 << 45).clone(), lambda: pydl.arange(0, 1e15)):
        with pytest.raises(RuntimeError) as caught:
            ask()
        assert isinstance(caught.value, (MemoryError, pydl.OutOfMemoryError))
    assert pydl.ones(3).sum() == 3


@pytest.mark.parametrize("shape", [(1 << 62, 4), (1 << 40, 1 << 40), ((1 << 63) - 1, 2)])
def test_overflowing_sizes_raise(shape):
    with pytest.raises((RuntimeError, OverflowError)):
        pydl.empty(shape)


def test_integers_of_more_than_64_bits_raise():
    with pytest.raises(OverflowError, match="zeros: expected an integer of 64 bits, got a larger one"):
        pydl.zeros(1 << 70)
    with pytest.raises(OverflowError, match="view: expected an integer of 64 bits"):
        pydl.ones(2, 3).view(1 << 65)


# ---- More than 2^31 elements -----------------------------------------------------------------------------------------

BIG = (1 << 31) + 5


def test_huge_shapes_without_memory():
    x = pydl.ones(1, dtype=pydl.uint8).expand(BIG)
    assert x.numel() == BIG and x.shape == (BIG,) and x[BIG - 1] == 1 and x[-1:].tolist() == [1]
    assert x.view(1, BIG).stride(1) == 0 and x[1 << 31 :].shape == (5,)
    assert x.narrow(0, BIG - 3, 3).sum() == 3
    with pytest.raises(IndexError):
        x[BIG]
    y = pydl.zeros(3, dtype=pydl.uint8).as_strided((1 << 33, 2), (0, 1))
    assert y.numel() == 1 << 34 and y.t().shape == (2, 1 << 33) and y[(1 << 33) - 1].tolist() == [0, 0]


def test_huge_reduction():
    """Counts beyond 32 bits come out whole."""
    x = pydl.ones(1, dtype=pydl.bool).expand(BIG)
    assert x.sum().item() == BIG


def test_huge_allocation():
    """A real tensor of more than 2^31 bytes; only the touched pages cost memory."""
    x = pydl.empty(BIG, dtype=pydl.uint8)
    x[BIG - 2 :] = 7
    x[:2] = 5
    assert x[-1] == 7 and x[BIG - 2] == 7 and x[0] == 5
    assert x[pydl.tensor([BIG - 1, 0])].tolist() == [7, 5]
    assert x.index_select(0, pydl.tensor([BIG - 2])).tolist() == [7]
    v = x.view(-1)[1 << 31 :]
    assert v.storage_offset() == 1 << 31 and v[-1] == 7
