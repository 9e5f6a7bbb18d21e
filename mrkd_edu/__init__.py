"""mrkd_edu: learn anomaly detection with masked reverse knowledge distillation (MRKD).

The paper's boxes lie at the front, one a file: `teacher`, `student`, `ilm`, `flm`, `distance`, `leakage`, and what
wires them, `model` and `train`. Everything else is behind a named door; docs/architecture.md is the plan of the house.

Names are loaded when they are first used, so that `import mrkd_edu` costs nothing.
"""

import lazy_loader as lazy

from mrkd_edu.runtime import moved

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
moved.install()
