"""Explorers: move masking, distance and overgeneralisation with your own hand. Each is one call in a notebook.

    from mrkd_edu.widgets import explore_ilm
    explore_ilm(images)

Every explorer has a pure function beside it that draws one state, such as `ilm_explorer.render_ilm`: for static figures
and for tests.
"""

try:
    import anywidget  # noqa: F401 - whether it is there
    import ipywidgets  # noqa: F401
except ImportError as error:
    raise ImportError(
        "The explorers need ipywidgets and anywidget. Install what notebooks need: pip install 'mrkd-edu[notebooks]', "
        "or in a clone pip install -e '.[notebooks]'; then restart the kernel."
    ) from error

from mrkd_edu.widgets.explorers.distance import explore_distance
from mrkd_edu.widgets.explorers.flm import explore_flm
from mrkd_edu.widgets.explorers.ilm import explore_ilm
from mrkd_edu.widgets.explorers.painter import paint_defects
from mrkd_edu.widgets.explorers.strength import explore_overgeneralisation
from mrkd_edu.widgets.explorers.threshold import explore_threshold
from mrkd_edu.widgets.theatre.training_choice import choose_training
from mrkd_edu.widgets.theatre.watch import watch_training

__all__ = [
    "choose_training",
    "explore_distance",
    "explore_flm",
    "explore_ilm",
    "explore_overgeneralisation",
    "explore_threshold",
    "paint_defects",
    "watch_training",
]
