"""Files and folders as one finds them, before anything is opened.

A folder of pictures may hold anything: a link that leads nowhere or back to itself, a named pipe (who reads it waits
for ever), a name that begins with a tilde. This file tells them apart; it knows nothing of what is in a file.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

SPECIAL = {"p": "a named pipe", "s": "a socket", "c": "a device", "b": "a device"}  # first letter of `ls -l`


class DataError(Exception):
    """The data are wrong. The message names the file, what is wrong with it, and the cure."""


def as_path(name: str | os.PathLike[str]) -> Path:
    """The path of a file or folder. Only `~` alone, as its first part, is the home folder.

    `Path.expanduser` takes `~x.png`, which many programs leave behind, for the home folder of a user called `x.png`.

    Example:
        >>> as_path("~x.png").name, as_path("~/photos") == Path.home() / "photos"
        ('~x.png', True)
    """
    path = Path(name)
    return path.expanduser() if path.parts[:1] == ("~",) else path


def check_file(path: Path) -> None:
    """Refuse what is no ordinary file with something in it.

    Raises:
        DataError: there is nothing of this name, or it is a folder, a pipe, a device, an endless link, or empty.

    Example:
        >>> check_file(Path("photos", "a.png"))
        Traceback (most recent call last):
        mrkd_edu.data.files.DataError: photos...a.png does not exist; check the name (the current folder is ...)
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        if os.path.islink(path):
            raise DataError(
                f"{path} is a link that leads nowhere (to {os.readlink(path)}); put the file itself there, or delete "
                "the link"
            ) from None
        raise DataError(f"{path} does not exist; check the name (the current folder is {Path.cwd()})") from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise DataError(f"{path} is a link that leads back to itself; delete it") from None
        raise DataError(f"{path} cannot be read ({error.strerror}); give it other rights or another name") from error
    except ValueError as error:  # a zero byte in it, or signs that no file name can have
        raise DataError(f"{str(path)!r} cannot be the name of a file ({error}); check the name") from error
    if stat.S_ISDIR(status.st_mode):
        raise DataError(f"{path} is a folder, not an image; give one image file")
    if not stat.S_ISREG(status.st_mode):
        kind = SPECIAL.get(stat.filemode(status.st_mode)[0], "something special")
        raise DataError(f"{path} is {kind}, not a file; put the image itself there, or move it away")
    if status.st_size == 0:
        raise DataError(f"{path} is empty (0 bytes); copy it again or delete it")


def no_folder(path: Path, cure: str) -> str:
    """What to say of a path that is no folder: is there a file, or nothing?"""
    what = "is not a folder" if os.path.lexists(path) else "does not exist"
    return f"{path} {what}; {cure} (the current folder is {Path.cwd()})"


def entries(folder: Path) -> list[Path]:
    """Everything that lies in a folder, in no order. Ask `os.path.isdir` and `isfile` what it is: they never fail.

    Raises:
        DataError: the folder does not exist or cannot be opened.
    """
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        raise DataError(f"the folder {folder} does not exist; check the name") from None
    except NotADirectoryError:
        raise DataError(f"{folder} is a file; give the folder that holds the images") from None
    except (OSError, ValueError) as error:
        raise DataError(f"the folder {folder} cannot be opened ({error}); check its name and its rights") from error
