"""Linear heads on sparse activations: the solver, sparsification and the selection of the L2 strength."""
