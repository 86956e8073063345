"""The canonical view: the head in one pose, in which lips are learnt and from which they are warped into frames."""
