"""What the tabs beside Explore show, as far as it is made on the server."""
