import bpy

settings = getattr(bpy.context, "sequencer_scene", None) or bpy.context.scene
settings = settings.s2l

settings.train.preset = "final"
settings.dub.layer = "picture"
settings.dub.format = "prores"
settings.dub.crf = 17
settings.dub.use_silence_level = False
settings.dub.silence_db = -25.0
settings.dub.rest_strength = 1.0
settings.still.blinks = False
settings.still.head_motion = False
