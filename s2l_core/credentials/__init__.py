"""Content credentials (C2PA): what results say about how they were made, signed, and checked again."""
