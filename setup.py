"""Builds pydl._core from csrc/ (Cython modules go the ordinary way); everything else is in pyproject.toml.

The extension has its own build step because one source becomes several objects: each kernel file is compiled once per
instruction set, with that set's flags on those objects alone. Objects live in build/objects and survive between
builds, editable installs included; one is compiled again when its command, its source or a header it read changed.

    CXX               compiler, launcher allowed: CXX="ccache g++"   (g++ 12 or newer, clang++ 14 or newer)
    CXXFLAGS          added to every compile command, before its own -O and -march; with -g in it the symbols stay
    LDFLAGS           added to the link command
    PYDL_BUILD_JOBS   parallel compilations (default: all cores)
    PYDL_BUILD_DIR    where the objects live (default: build/objects)
"""

import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pybind11
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
CSRC = ROOT / "csrc"

# One row per instruction set; a row more (AMX, NEON) and every kernel exists for it too.
KERNEL_ISAS = {
    "x86_64": {
        "baseline": ["-march=x86-64-v2"],
        "avx2": ["-march=x86-64-v3"],
        "avx512": ["-march=x86-64-v4", "-mprefer-vector-width=512"],
    },
}
COMMON = (
    "-std=c++20 -fPIC -fvisibility=hidden -fvisibility-inlines-hidden -ffunction-sections -fdata-sections "
    "-fno-math-errno -fno-trapping-math -ffp-contract=off -Wall -Wextra"
).split()
LINK = "-shared -Wl,--gc-sections -Wl,-O1 -Wl,--as-needed -Wl,-z,relro".split()


# Headers that most sources of a folder begin with. Where many of them are compiled, GCC reads these once.
PRECOMPILED = {
    "ops": ("autograd/node.h", "ops/call.h", "ops/copy.h", "ops/pointwise.h", "ops/view.h"),
    "bindings": ("bindings/interop.h", "bindings/parse.h", "bindings/types.h"),
}


def compiled_once(source: Path) -> bool:
    """Kernel files without vector code: the integer kernels and the table that chooses among the others."""
    return source.stem.endswith("_int") or source.stem in ("sort", "table")


def compiler() -> list[str]:
    if "CXX" in os.environ:
        return shlex.split(os.environ["CXX"])
    return [next((name for name in ("g++", "clang++") if shutil.which(name)), "c++")]


def openmp() -> tuple[list[str], list[str]]:
    """Flags for compiling base/parallel.cpp and for linking. Both compilers use GCC's runtime: it is on every machine,
    and a second runtime beside another library's would compete with it. Clang's -fopenmp means its own."""
    return ([], ["-lgomp"]) if is_clang() else (["-fopenmp"], ["-fopenmp"])


def is_clang() -> bool:
    return "clang" in Path(compiler()[-1]).name


def extra_flags() -> list[str]:
    return shlex.split(os.environ.get("CXXFLAGS", ""))


@dataclass
class Unit:
    """One object file: a source, compiled one way."""

    source: Path
    isa: str  # empty for everything but kernels
    command: list[str]
    object: Path
    precompiled: Path | None = None  # a header, already read, to begin with

    @property
    def stamp(self) -> str:
        # pip's isolated builds put pybind11 in a new directory each time; its version is what matters.
        return shlex.join(self.command).replace(pybind11.get_include(), f"pybind11=={pybind11.__version__}")

    def is_fresh(self) -> bool:
        record = self.object.with_suffix(".cmd")
        if not self.object.exists() or not record.exists() or record.read_text() != self.stamp:
            return False
        built = self.object.stat().st_mtime_ns
        read = dependencies(self.object.with_suffix(".d"))
        return all(os.path.exists(path) and os.stat(path).st_mtime_ns <= built for path in read)

    def compile(self) -> None:
        self.object.parent.mkdir(parents=True, exist_ok=True)
        record = self.object.with_suffix(".cmd")
        record.unlink(missing_ok=True)
        started = time.time_ns()
        first = ["-include", str(self.precompiled)] if self.precompiled else []
        run([*self.command, *first, "-MMD", "-c", str(self.source), "-o", str(self.object)])
        if self.precompiled:  # GCC does not tell what it read in advance
            with self.object.with_suffix(".d").open("a") as depfile:
                print(*dependencies(self.precompiled.with_suffix(".d"))[1:], file=depfile)
        if self.isa not in ("", "baseline"):
            self.refuse_shared_symbols()
        os.utime(self.object, ns=(started, started))  # a header saved meanwhile is newer than the object
        record.write_text(self.stamp)

    def refuse_shared_symbols(self) -> None:
        """A weak symbol outside the ISA's namespace could be the copy that the linker picks for everybody, and then
        the baseline code of an older machine would run this ISA's instructions."""
        listing = subprocess.run(["nm", "--defined-only", str(self.object)], capture_output=True, text=True, check=True)
        namespace = f"4pydl{len(self.isa)}{self.isa}"
        symbols = [line.split()[-2:] for line in listing.stdout.splitlines()]
        weak = [name for kind, name in symbols if kind in "WVu" and namespace not in name]
        weak = [name for name in weak if not name.startswith("DW.ref.")]
        if weak:
            self.object.unlink()
            raise SystemExit(f"{self.source}: weak symbols outside pydl::{self.isa}: {', '.join(weak)}")


def dependencies(depfile: Path) -> list[str]:
    """The source and headers of a file that reads "object: source header \\<newline> header ..."."""
    return depfile.read_text().replace("\\\n", " ").split()[1:]


def precompile(stale: list[Unit], folder: Path) -> None:
    """Reads the headers of PRECOMPILED for the folders of which many sources are to be compiled."""
    for name, headers in PRECOMPILED.items():
        users = [unit for unit in stale if unit.source.parent == CSRC / name]
        if is_clang() or len(users) < 8:
            continue
        header = folder / f"{name}.h"
        header.write_text("".join(f'#include "{path}"\n' for path in headers))
        run([*users[0].command, "-MMD", "-MF", str(header.with_suffix(".d")), "-x", "c++-header", str(header),
             "-o", f"{header}.gch"])
        for unit in users:
            unit.precompiled = header


def run(command: list[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.stdout:
        print(done.stdout, end="", flush=True)
    if done.returncode:
        raise SystemExit(f"failed: {shlex.join(command)}")


def units(objects: Path) -> list[Unit]:
    machine = platform.machine()
    if machine not in KERNEL_ISAS:
        raise SystemExit(f"pydl has no kernels for {machine} yet; it runs on {', '.join(KERNEL_ISAS)}")
    isas = KERNEL_ISAS[machine]
    base = [*compiler(), *COMMON, f"-I{CSRC}", *extra_flags()]
    result = []
    for source in sorted(CSRC.rglob("*.cpp")):
        folder = source.relative_to(CSRC).parts[0]
        for isa, flags in isas.items() if folder == "kernels" else [("", isas["baseline"])]:
            if folder == "kernels" and compiled_once(source) and isa != "baseline":
                continue
            command = [*base, *flags, *(["-O3", f"-DPYDL_ISA={isa}"] if isa else ["-O2"])]
            if source == CSRC / "base" / "parallel.cpp":
                command += openmp()[0]
            if folder == "bindings":  # the only place that knows Python
                command += ["-isystem", sysconfig.get_path("include"), "-isystem", pybind11.get_include()]
                command += ["-DNDEBUG"]  # else pybind11 asks about the GIL at each reference
            result.append(Unit(source, isa, command, objects / isa / source.relative_to(CSRC).with_suffix(".o")))
    return result


class BuildCore(build_ext):
    def finalize_options(self) -> None:
        super().finalize_options()
        self.parallel = self.parallel or True  # the Cython modules beside the core

    def build_extension(self, extension: Extension) -> None:
        if extension.name != "pydl._core":
            super().build_extension(extension)
            return
        objects = ROOT / os.environ.get("PYDL_BUILD_DIR", "build/objects") / sysconfig.get_config_var("SOABI")
        everything = units(objects)
        stale = [unit for unit in everything if self.force or not unit.is_fresh()]
        stale.sort(key=lambda unit: -unit.source.stat().st_size)  # the long ones first, so that none is left alone
        jobs = int(os.environ.get("PYDL_BUILD_JOBS") or os.cpu_count() or 1)

        def compile_one(numbered: tuple[int, Unit]) -> None:
            number, unit = numbered
            print(f"[{number}/{len(stale)}] {unit.object.relative_to(objects).with_suffix('.cpp')}", flush=True)
            unit.compile()

        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(jobs) as pool:
            precompile(stale, Path(folder))
            try:
                list(pool.map(compile_one, enumerate(stale, 1)))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

        target = Path(self.get_ext_fullpath(extension.name))
        target.parent.mkdir(parents=True, exist_ok=True)
        exports = objects / "exports.map"
        exports.write_text("{ global: PyInit__core; local: *; };\n")
        target.unlink(missing_ok=True)  # never write into a file that a running Python has mapped
        link = [*LINK, *openmp()[1], *([] if "-g" in extra_flags() else ["-s"]), f"-Wl,--version-script={exports}"]
        link += shlex.split(os.environ.get("LDFLAGS", ""))
        run([*compiler(), *(str(unit.object) for unit in everything), *link, "-o", str(target)])


def cython_modules() -> list[Extension]:
    sources = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "pydl").rglob("*.pyx"))
    if not sources:
        return []
    from Cython.Build import cythonize

    modules = cythonize(sources, build_dir="build/cython")
    for module in modules:
        module.extra_compile_args += ["-O3", "-g0"]
        module.extra_link_args += [] if "-g" in extra_flags() else ["-s"]
    return modules


if sys.maxsize < 2**32:
    raise SystemExit("pydl needs a 64-bit Python")
sources = sorted(str(path.relative_to(ROOT)) for path in CSRC.rglob("*.cpp"))
core = Extension("pydl._core", sources=sources, language="c++")
setup(ext_modules=[core, *cython_modules()], cmdclass={"build_ext": BuildCore})
