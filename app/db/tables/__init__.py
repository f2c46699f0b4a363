"""Tables by what owns their rows; app.db.models has all of them."""
