"""Networks: one interface, a factory, and how each family reads its checkpoint."""
