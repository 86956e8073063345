"""What the pictures and movies of ``bench look`` are made of."""
