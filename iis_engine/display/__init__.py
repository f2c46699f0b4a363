"""HTML and tables of reports, concepts and explanations for notebooks, from the dictionaries that engine and service share.

It imports the standard library alone, and pandas on the first `frame`, so that the engine and the client show the same.
"""
