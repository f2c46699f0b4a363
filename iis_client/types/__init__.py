"""Types of the API's answers."""
