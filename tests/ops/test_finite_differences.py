"""Derivatives against central differences in float64, first and second order.

The step goes along random directions, so that one difference checks every element of the gradient: for cotangents c and
a direction v, <grad, v> must be (f(x + hv) - f(x - hv)) . c / 2h. The second order does the same to the first
derivative, in x and in c together.
"""
from __future__ import annotations

import numpy as np
from specs.spec import Case, flat_tensors, gradient_cases, tensors, tree_map
from support import cotangents, float_outputs

import pydl

STEP = 1e-6
TOLERANCE = 2e-6


def pytest_generate_tests(metafunc):
    per_op = metafunc.config.per_op
    order = 2 if metafunc.function is test_second_order else 1
    count = None if per_op is None else max(1, per_op // 3)
    found = gradient_cases(count, "float64", largest=120 if order == 1 else 40, order=order)
    metafunc.parametrize("case", found, ids=[c.id for c in found])


class Problem:
    """One call as a function of its differentiable inputs."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.args = tensors(pydl, case.draw(), requires_grad=True)
        self.leaves = [x for x in flat_tensors(self.args, pydl) if x.requires_grad]
        self.rng = np.random.default_rng(len(case.id))

    def outputs(self, leaves: list | None = None) -> list:
        """The differentiable results, at other values of the inputs if given."""
        chart = self.case.spec.chart or (lambda x: x)
        new = {id(old): chart(x) for old, x in zip(self.leaves, leaves or self.leaves)}
        args, kwargs = tree_map(lambda x: new.get(id(x), x), pydl.Tensor, self.args)
        return float_outputs(flat_tensors(self.case.spec.function(pydl)(*args, **kwargs), pydl))

    def directions(self, like: list) -> list:
        return [pydl.from_numpy(np.array(self.rng.standard_normal(tuple(x.shape)))) for x in like]


def dot(xs: list, ys: list) -> pydl.Tensor:
    return sum(((x * y).sum() for x, y in zip(xs, ys) if x is not None), pydl.zeros((), dtype=pydl.float64))


def shifted(xs: list, direction: list, step: float) -> list:
    return [(x.detach() + step * v).requires_grad_() for x, v in zip(xs, direction)]


def assert_derivative(analytic: float, above: float, below: float, scale: float) -> None:
    numeric = (above - below) / (2 * STEP)
    # Cancellation costs about eps * |f| / h, on top of the truncation error.
    allowed = TOLERANCE * max(1.0, abs(numeric), scale)
    assert abs(analytic - numeric) <= allowed, f"expected the derivative {numeric}, got {analytic}"


def test_first_order(case: Case):
    problem = Problem(case)
    outputs = problem.outputs()
    c = cotangents(pydl, outputs, case.id)
    grads = pydl.autograd.grad(outputs, problem.leaves, c, allow_unused=True)
    for _ in range(2):
        v = problem.directions(problem.leaves)
        above, below = (dot(problem.outputs(shifted(problem.leaves, v, s)), c).item() for s in (STEP, -STEP))
        assert_derivative(float(dot(grads, v)), above, below, scale=abs(above) * 1e-3)


def test_second_order(case: Case):
    problem = Problem(case)

    def first(leaves: list, c: list, v: list) -> pydl.Tensor:
        grads = pydl.autograd.grad(problem.outputs(leaves), leaves, c, create_graph=True, allow_unused=True)
        return dot(grads, v)

    c = [x.requires_grad_() for x in cotangents(pydl, problem.outputs(), case.id)]
    v = problem.directions(problem.leaves)
    variables = [*problem.leaves, *c]
    n = len(problem.leaves)
    start = first(problem.leaves, c, v)  # constant where the operator is flat
    second = pydl.autograd.grad(start, variables, allow_unused=True) if start.requires_grad else [None] * len(variables)
    u = problem.directions(variables)
    above, below = (first(moved[:n], moved[n:], v).item() for moved in (shifted(variables, u, s) for s in (STEP,
        -STEP)))
    assert_derivative(float(dot(second, u)), above, below, scale=abs(above) * 1e-3)
