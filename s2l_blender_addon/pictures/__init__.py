"""Pictures in the interface: faces, speakers, single frames, a training."""
