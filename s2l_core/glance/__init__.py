"""One picture and any speech: "Lip movements generation at a glance" (Chen et al., ECCV 2018).

A network draws 16 pictures of lips at once, from one picture of any person's lips and .64 s of speech. It is the
reference of the second paper, and a preview at 64x64 pixels.
"""
