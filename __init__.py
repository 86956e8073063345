"""The Blender extension; Blender looks for this file beside its manifest.

Nothing is imported until Blender registers the extension, so that this folder is also an ordinary project root.
"""


def register() -> None:
    from .s2l_blender_addon import registration

    registration.register()


def unregister() -> None:
    from .s2l_blender_addon import registration

    registration.unregister()
