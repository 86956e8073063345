"""Damaged and hostile input, made from seeds and given to the product's own processes; see ``run.py``.

One number names an input: the kind and every choice that is made while it is built follow from it. ``kinds.py`` takes
good files and documents (``specimens.py``), damages them (``mutations.py``), and makes a request of each. The request
goes to a worker, or to a process that reads what Blender's add-on reads (``reader.py``), and ``engine.py`` watches that
process.
"""
