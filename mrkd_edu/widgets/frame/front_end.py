"""What runs in the browser lies beside the Python that it belongs to."""

from pathlib import Path


def front_end(module: str, name: str) -> str:
    """The text of a script or a style beside a module.

    As text, not as a path: anywidget watches a path for changes, and keeps every instance that it would have to tell.

    Args:
        module: the module's `__file__`.
        name: of the file.
    """
    return Path(module).with_name(name).read_text(encoding="utf-8")
