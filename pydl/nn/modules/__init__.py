"""The layers, one file per family."""

from typing import TYPE_CHECKING

from pydl.nn.modules.activation import *
from pydl.nn.modules.adaptive import *
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

if not TYPE_CHECKING:  # mypy does not follow the sums, and without them takes what the stars import
    from pydl.nn.modules import (
        activation,
        adaptive,
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

    # One += a family: what other type checkers understand.
    __all__ = ["Module"]
    __all__ += activation.__all__
    __all__ += adaptive.__all__
    __all__ += attention.__all__
    __all__ += batchnorm.__all__
    __all__ += container.__all__
    __all__ += conv.__all__
    __all__ += dropout.__all__
    __all__ += image.__all__
    __all__ += instancenorm.__all__
    __all__ += linear.__all__
    __all__ += loss.__all__
    __all__ += normalization.__all__
    __all__ += padding.__all__
    __all__ += pooling.__all__
    __all__ += positional.__all__
    __all__ += rnn.__all__
    __all__ += sparse.__all__
    __all__ += transformer.__all__
