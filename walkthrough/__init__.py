"""A person at a real window: the newest Blender of Debian in a chroot, looked at and clicked at as pixels."""
