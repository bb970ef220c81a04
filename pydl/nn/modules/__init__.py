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
    rnn,
)
from pydl.nn.modules.activation import *
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
from pydl.nn.modules.rnn import *

__all__ = sorted([
    "Module", *activation.__all__, *batchnorm.__all__, *container.__all__, *conv.__all__, *dropout.__all__,
    *image.__all__, *instancenorm.__all__, *linear.__all__, *loss.__all__, *normalization.__all__, *padding.__all__,
    *pooling.__all__, *rnn.__all__,
])
