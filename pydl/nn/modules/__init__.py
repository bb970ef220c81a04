"""The layers, one file per family."""

from pydl.nn.modules import (
    activation,
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
)
from pydl.nn.modules.activation import *  # noqa: F403
from pydl.nn.modules.batchnorm import *  # noqa: F403
from pydl.nn.modules.container import *  # noqa: F403
from pydl.nn.modules.conv import *  # noqa: F403
from pydl.nn.modules.dropout import *  # noqa: F403
from pydl.nn.modules.image import *  # noqa: F403
from pydl.nn.modules.instancenorm import *  # noqa: F403
from pydl.nn.modules.linear import *  # noqa: F403
from pydl.nn.modules.loss import *  # noqa: F403
from pydl.nn.modules.module import Module  # noqa: F401
from pydl.nn.modules.normalization import *  # noqa: F403
from pydl.nn.modules.padding import *  # noqa: F403
from pydl.nn.modules.pooling import *  # noqa: F403

__all__ = sorted([
    "Module", *activation.__all__, *batchnorm.__all__, *container.__all__, *conv.__all__, *dropout.__all__,
    *image.__all__, *instancenorm.__all__, *linear.__all__, *loss.__all__, *normalization.__all__, *padding.__all__,
    *pooling.__all__,
])
