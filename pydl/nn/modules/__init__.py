"""The layers, one file per family."""

from pydl.nn.modules import (
    activation,
    attention,
    batchnorm,
    container,
    conv,
    dropout,
    image,
    instancenorm,
    linear,
    loss,
    normalization,
    padding,
    pooling,
    positional,
    rnn,
    sparse,
    transformer,
)
from pydl.nn.modules.activation import *
from pydl.nn.modules.attention import *
from pydl.nn.modules.batchnorm import *
from pydl.nn.modules.container import *
from pydl.nn.modules.conv import *
from pydl.nn.modules.dropout import *
from pydl.nn.modules.image import *
from pydl.nn.modules.instancenorm import *
from pydl.nn.modules.linear import *
from pydl.nn.modules.loss import *
from pydl.nn.modules.module import Module
from pydl.nn.modules.normalization import *
from pydl.nn.modules.padding import *
from pydl.nn.modules.pooling import *
from pydl.nn.modules.positional import *
from pydl.nn.modules.rnn import *
from pydl.nn.modules.sparse import *
from pydl.nn.modules.transformer import *

_PARTS = (
    activation,
    attention,
    batchnorm,
    container,
    conv,
    dropout,
    image,
    instancenorm,
    linear,
    loss,
    normalization,
    padding,
    pooling,
    positional,
    rnn,
    sparse,
    transformer,
)
__all__ = sorted(["Module", *(name for part in _PARTS for name in part.__all__)])
