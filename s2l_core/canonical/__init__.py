"""The canonical view: the head in one pose, in which lips are trained and from which they are warped into frames."""
