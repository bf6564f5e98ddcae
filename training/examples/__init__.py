"""Examples of a project and their revisions: what is learnt from, who changed it, and back again."""
