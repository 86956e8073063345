"""What the motion of lips is learnt from, and how: see ``demo/make_lip_motion.py``."""
