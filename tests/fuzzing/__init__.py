"""Damaged and hostile input, made from seeds and given to the product's own processes; see ``run.py``.

One number names an input: it tells the kind, and every choice that is made while the input is built. What is damaged are
files that the product wrote, in ``kinds.py``; how, is in ``mutations.py``. The input goes as a request to a worker, or to
a process that reads what Blender's add-on reads, and ``engine.py`` watches what becomes of that process.
"""
