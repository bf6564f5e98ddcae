"""The engine: data in, a trained and exported classifier out. Imports no Django; runs on a bare GPU machine."""
