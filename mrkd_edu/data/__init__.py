"""Images, masks and data sets on disk."""

from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.data.images import IMAGE_SUFFIXES, DataError, ImageSource, image_size, list_images, read_image, read_mask
from mrkd_edu.data.layouts import Sample, find_categories
from mrkd_edu.data.stack import ImageStack

__all__ = [
    "IMAGE_SUFFIXES",
    "AnomalyFolder",
    "DataError",
    "ImageSource",
    "ImageStack",
    "Sample",
    "find_categories",
    "image_size",
    "list_images",
    "read_image",
    "read_mask",
]
