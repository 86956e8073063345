"""Mixes down the sound of a file in a Blender of its own: arguments are the file and the options of the operator."""

import json
import sys

import bpy

blend, options = sys.argv[-2:]
bpy.ops.wm.open_mainfile(filepath=blend)
bpy.ops.sound.mixdown(**json.loads(options))
