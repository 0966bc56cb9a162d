"""opening: open a picture's file, here or on another machine, for reading."""

import os
import stat
from contextlib import AbstractContextManager
from typing import BinaryIO

from malaria.pictures.limits import UnreadableImageError
from malaria.pictures.remote_path import AnyPath, RemotePath


def open_picture(path: AnyPath) -> AbstractContextManager[BinaryIO]:
    """Open a file, if it is one. Raises OSError, UnreadableImageError, UserError.

    A pipe or a device with the name of a picture would be waited on for ever.
    """
    if isinstance(path, RemotePath):
        from malaria.pictures.remote import open_remote

        return open_remote(path)
    file = open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb")  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise UnreadableImageError("not a regular file")
    return file


def open_beside(path: AnyPath) -> BinaryIO:
    """Open a picture while another one is being decoded. Raises as open_picture."""
    if isinstance(path, RemotePath):
        from malaria.pictures.remote import read_remote

        return read_remote(path)
    return open(path, "rb")
