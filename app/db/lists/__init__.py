"""Lists of resources: filters, order, cursors, numbers of scores, uses, and one row for the same content."""
