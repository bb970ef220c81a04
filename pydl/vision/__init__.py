"""Images as data: folders and zip files of them, and transforms.

A package of its own, as `pydl.text` is for words: `pydl.utils.data` knows samples and batches of any kind and stands
below `pydl.nn`; what knows pixels stands above it, and Pillow is imported when the first file is decoded. Names are
torchvision's.
"""

from pydl.vision import transforms
from pydl.vision.folder import ImageFolder
from pydl.vision.tensors import ImageTensors

__all__ = ["ImageFolder", "ImageTensors", "transforms"]
