"""Another build of pydl as the only competitor: `pydl bench --against DIR`, to see what a change gained.

`DIR` holds the other build's package `pydl` with its extension: a second checkout built in place, or a folder filled by
`pip install --target`. It runs as a process of its own, which knows the same cases and is asked in turns.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydl.bench.case import Case, Statement


class Build:
    """The process that runs pydl as it lies in `root`. Questions are names of `Worker`'s methods."""

    def __init__(self, root: Path) -> None:
        if not (root / "pydl" / "__init__.py").is_file():
            raise SystemExit(f"pydl bench: expected a folder that holds a built package pydl, got {root}")
        environment = {**os.environ, "PYTHONPATH": str(root.resolve()), "PYTHONSAFEPATH": "1"}
        command = [sys.executable, "-c", "from pydl.bench.builds import serve; serve()"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        assert self.process.stdin is not None and self.process.stdout is not None
        self.questions, self.answers = self.process.stdin, self.process.stdout
        where = Path(self.ask("location"))
        if where != root.resolve():
            raise SystemExit(f"pydl bench: expected pydl to be imported from {root}, got it from {where}")

    def __enter__(self) -> Build:
        return self

    def __exit__(self, *error: object) -> None:
        """Ends the process."""
        self.questions.close()
        self.answers.close()
        self.process.wait()

    def ask(self, question: str, *arguments: Any) -> Any:
        pickle.dump((question, arguments), self.questions)
        self.questions.flush()
        try:
            answer, error = pickle.load(self.answers)
        except EOFError:
            raise SystemExit("pydl bench: the other build's process ended") from None
        if error:
            raise RuntimeError(f"the other build: {error}")
        return answer


class StatementElsewhere(Statement):
    """A statement of the other build's process, which holds one at a time: that of the case asked for last."""

    def __init__(self, build: Build, group: str, case: Case) -> None:
        build.ask("prepare", group, case.name)
        super().__init__(case.code, {})
        self.build = build

    def timer(self) -> TimerElsewhere:
        return TimerElsewhere(self.build)

    def value(self) -> Any:
        return self.build.ask("value")


class TimerElsewhere:
    def __init__(self, build: Build) -> None:
        self.build = build

    def timeit(self, number: int) -> float:
        return self.build.ask("timeit", number)


def beside(build: Build, group: str, case: Case) -> dict[str, Statement]:
    """What `libraries.statements` is for peers: the case under this pydl and under the other build."""
    from pydl.bench.libraries import pydl_statement

    return {"pydl": pydl_statement(case), "other build": StatementElsewhere(build, group, case)}


class Worker:
    """The other build's side."""

    def location(self) -> str:
        import pydl

        return str(Path(pydl.__file__).parents[1])

    def prepare(self, group: str, case: str) -> None:
        from pydl.bench.libraries import pydl_statement

        self.statement = pydl_statement(cases()[group, case])
        self.timer = self.statement.timer()

    def timeit(self, number: int) -> float:
        with self.statement.context():
            return self.timer.timeit(number)

    def value(self) -> Any:
        from pydl.bench.libraries import as_arrays

        return as_arrays(self.statement.value())


@lru_cache
def cases() -> dict[tuple[str, str], Case]:
    from pydl.bench.cases import GROUPS

    return {(group.name, case.name): case for group in GROUPS for case in group.cases}


def serve() -> None:
    """Answers until the questions end."""
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the cases print must not be taken for an answer
    worker = Worker()
    while True:
        try:
            question, arguments = pickle.load(questions)
        except EOFError:
            return
        answer = error = None
        try:
            answer = getattr(worker, question)(*arguments)
        except Exception as raised:
            error = f"{type(raised).__name__}: {raised}"
        pickle.dump((answer, error), answers)
        answers.flush()
