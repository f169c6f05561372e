"""The bound run: planning, order, the life of a stage. Decides what happens next; carries out nothing."""
