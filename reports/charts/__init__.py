"""Charts made on the server: inline SVG that stretches, with its words as HTML so that they never do."""
