"""What stands before people: the browser page."""
