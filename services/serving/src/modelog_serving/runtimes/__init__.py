"""One module for each kind of model that is served, loaded when the first model of its kind is."""
