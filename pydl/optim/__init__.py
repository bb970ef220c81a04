"""Optimizers and learning rate schedules, with PyTorch's names."""

from pydl.optim import lr_scheduler, swa_utils
from pydl.optim.adadelta import Adadelta
from pydl.optim.adagrad import Adagrad
from pydl.optim.adam import Adam, AdamW
from pydl.optim.adamax import Adamax
from pydl.optim.asgd import ASGD
from pydl.optim.lbfgs import LBFGS
from pydl.optim.nadam import NAdam
from pydl.optim.optimizer import Optimizer
from pydl.optim.radam import RAdam
from pydl.optim.rmsprop import RMSprop
from pydl.optim.rprop import Rprop
from pydl.optim.sgd import SGD
from pydl.optim.sparse_adam import SparseAdam

__all__ = [
    "ASGD", "LBFGS", "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "NAdam", "Optimizer", "RAdam", "RMSprop",
    "Rprop", "SparseAdam", "lr_scheduler", "swa_utils",
]
