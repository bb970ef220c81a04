"""The functions behind the layers, with PyTorch's names and arguments."""

from pydl.nn.functional._activation import *
from pydl.nn.functional._attention import *
from pydl.nn.functional._classification import *
from pydl.nn.functional._conv import *
from pydl.nn.functional._distance import *
from pydl.nn.functional._dropout import *
from pydl.nn.functional._embedding import *
from pydl.nn.functional._image import *
from pydl.nn.functional._linear import *
from pydl.nn.functional._normalization import *
from pydl.nn.functional._padding import *
from pydl.nn.functional._pooling import *
from pydl.nn.functional._regression import *
