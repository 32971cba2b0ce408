"""An experiment: a name that runs are grouped under."""
