"""Where images come from: public data sets, archives, one's own photos, a bundle for a room without a network.

    registry.py   the public sets: address, hash, licence        archive.py   unpack what strangers packed
    download.py   one large file over a bad network              convert.py   from each publisher's layout to ours
    fetch.py      `data get` and `data import`                   place.py     the whole set in its place, or nothing
    record.py     what is there already                          bundle.py    `data bundle`
    photos.py     `data photos`, with photo_folders.py and phone.py
"""
