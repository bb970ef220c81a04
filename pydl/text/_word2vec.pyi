from array import array
from collections.abc import Iterable

import numpy as np

def index(sentences: Iterable[Iterable[str]]) -> tuple[list[str], array, array, array]: ...
def alias_table(weights: np.ndarray, threshold: np.ndarray, alias: np.ndarray) -> None: ...

class Trainer:
    def __init__(
        self, input: np.ndarray, output: np.ndarray, words: np.ndarray, starts: np.ndarray, keep: np.ndarray,
        threshold: np.ndarray, alias: np.ndarray, window: int, negative: int, cbow: bool, isa: str,
    ) -> None: ...
    def train(self, first: int, last: int, rate: float, seed: int) -> tuple[float, int]: ...
