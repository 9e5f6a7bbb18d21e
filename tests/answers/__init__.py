"""What learners write: right answers, in other ways than the folded one, and typical wrong ones, of each exercise.

One file a lesson, with `RIGHT: dict[str, list[str]]` and `WRONG: dict[str, list[tuple[str, str]]]`, the source of an
answer and words of the message that it must get. `NAMES` is what an answer finds in a notebook.
"""
