"""What is learnt of a speaker: the lips, how they answer to speech, and how they are blended into a frame."""
