"""Assignments: from the master to what is handed out, and from what comes back to a table of grades.

    master.py       the masters, notebooks in nbgrader's format
    build.py        releases, solutions, zips
    roster.py       class lists, and file names of Moodle and Canvas
    submission.py   whatever was handed in, as cells
    grade.py        one submission; its code runs elsewhere, what it answers is compared here
    sandbox.py      that elsewhere: walls and limits (limits.py); what is to be found there (kit.py, worker.py)
    wire.py         messages between the two, never pickle
    classroom.py    a folder of submissions, and the table
    feedback.py     a page for each student
    challenge.py    the open challenge and its board
"""
