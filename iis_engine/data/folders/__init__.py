"""Class folders: the tree of files, names of splits and classes, layouts that are refused."""
