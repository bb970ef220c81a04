"""The functions behind the layers, with PyTorch's names and arguments."""

from pydl.nn.functional._activation import *  # noqa: F403
from pydl.nn.functional._classification import *  # noqa: F403
from pydl.nn.functional._conv import *  # noqa: F403
from pydl.nn.functional._distance import *  # noqa: F403
from pydl.nn.functional._dropout import *  # noqa: F403
from pydl.nn.functional._image import *  # noqa: F403
from pydl.nn.functional._linear import *  # noqa: F403
from pydl.nn.functional._normalization import *  # noqa: F403
from pydl.nn.functional._padding import *  # noqa: F403
from pydl.nn.functional._pooling import *  # noqa: F403
from pydl.nn.functional._regression import *  # noqa: F403
