r"""Names of files and folders as they may be shown and written, whatever is in them.

A file's name may hold bytes that are no text, an escape sequence that repaints a terminal, a sign that turns the
direction of what follows, or a formula that a spreadsheet would compute.
"""

from __future__ import annotations

import re
import sys

DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # names that Windows keeps for itself
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a cell begins that a spreadsheet computes
ODD = re.compile(  # control signs, halves of characters, and what is invisible but no part of a script
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


def readable(text: str, lines: bool = False) -> str:
    r"""Text that can be printed and encoded: bytes that are no text, and signs that steer a terminal, as `\x..`.

    Args:
        text: a name, or a message with names in it.
        lines: whether line breaks and tabs are meant, as in a message of several lines.

    Example:
        >>> print(readable("Fl\udce4che \x1b[31m.png"))
        Fl\xe4che \x1b[31m.png
    """
    return ODD.sub(lambda found: found[0] if lines and found[0] in "\n\t" else _spelled(ord(found[0])), text)


def _spelled(number: int) -> str:
    if 0xDC80 <= number <= 0xDCFF:  # how Python keeps a byte that is no UTF-8
        number -= 0xDC00
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"


def cell(text: str) -> str:
    """A name for a CSV table: readable, and never a formula (an apostrophe before it says: text).

    Example:
        >>> cell("=1+1.png"), cell("scratch.png")
        ("'=1+1.png", 'scratch.png')
    """
    return "'" + readable(text) if text.startswith(FORMULA) else readable(text)


def tell(message: str) -> None:
    """Say what happened: on stderr, away from results; but a notebook paints stderr red, so there on stdout."""
    in_notebook = type(sys.stdout).__module__.startswith("ipykernel")
    print(readable(message, lines=True), file=sys.stdout if in_notebook else sys.stderr)
