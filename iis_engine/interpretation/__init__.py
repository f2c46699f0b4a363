"""Score and interpret torch modules in one call: images of any source, representation, concepts, explanations that show themselves."""
