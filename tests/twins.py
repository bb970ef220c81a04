"""Running the same thing in pydl and in PyTorch and comparing what came out."""
from __future__ import annotations

from typing import Any

import numpy as np

import pydl


def numpy(x: Any) -> np.ndarray:
    """The values of a tensor of either library."""
    return np.array(x.detach().numpy())


def pair(torch: Any, values: Any, requires_grad: bool = False) -> tuple[Any, Any]:
    """The same values as a pydl and as a PyTorch tensor that share no memory."""
    values = np.asarray(values)
    result = pydl.from_numpy(values.copy()), torch.from_numpy(values.copy())
    if requires_grad:
        for tensor in result:
            tensor.requires_grad_()
    return result


def assert_same(ours: Any, theirs: Any, rtol: float = 1e-6, atol: float = 1e-7) -> None:
    """Equal dtype and shape, values within the tolerance; tuples element by element."""
    if isinstance(theirs, (tuple, list)):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            assert_same(a, b, rtol, atol)
        return
    assert str(ours.dtype).rpartition(".")[2] == str(theirs.dtype).rpartition(".")[2]
    assert tuple(ours.shape) == tuple(theirs.shape)
    np.testing.assert_allclose(numpy(ours), numpy(theirs), rtol=rtol, atol=atol)


def copy_weights(ours: Any, theirs: Any) -> None:
    """Loads the weights of a PyTorch module into the same pydl module: keys and shapes have to be equal."""
    weights = {key: pydl.from_numpy(numpy(value).copy()) for key, value in theirs.state_dict().items()}
    assert list(weights) == list(ours.state_dict())
    ours.load_state_dict(weights)
