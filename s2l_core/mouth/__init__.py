"""Rendering new mouths into footage, and deciding which frames get one."""
