"""One picture that speaks: the motion of lips from speech, and the picture that is moved by it."""
