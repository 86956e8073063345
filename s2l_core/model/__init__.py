"""The networks of a speaker: lip models, Blend-Net, canonical depth, look model and sync experts; and the speaker
file.
"""
