"""A walk-through in a real window: the newest Blender of Debian in a chroot, read as pixels and clicked at."""
