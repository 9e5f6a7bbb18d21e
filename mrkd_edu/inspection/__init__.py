"""What is in a folder of images, and what is wrong with it: everything, where `AnomalyFolder` stops at the first.

    examine.py       the whole of it, and in words
    inventory.py     what lies where, from the names of files alone
    looks.py         one file, opened once: its size, its pixels, its thumbnail
    lookalikes.py    which pictures are nearly the same
    faults.py        what that means: the checks
"""
