"""What a learner writes, and what it must satisfy. One file a lesson; lessons and assignments use the same.

    exercise.py    an exercise: oracle, inputs, typical mistakes, and the judgement
    catalogue.py   which exercises there are, and where a lesson's stand
    inputs.py      what exercises of several lessons are tried on
    build.py       `@build`, the cell of a lesson in which something is written
    progress.py    the bar at the top of a lesson
    own_file.py    `my_mrkd.py`, the method made of the learner's own parts
    feedback.py    `check` and `grade`, what assignments call
    probes.py      how networks and training steps are asked where work is graded
    welcome.py ... one file a lesson or an assignment: its exercises, the library's answers, its typical mistakes
"""

from mrkd_edu.checks.build import build
from mrkd_edu.checks.feedback import check, grade
from mrkd_edu.checks.own_file import earlier
from mrkd_edu.checks.progress import progress

__all__ = ["build", "check", "earlier", "grade", "progress"]
