"""Linear heads on sparse activations: the solver, sparsification and the choice of the L2 strength."""
