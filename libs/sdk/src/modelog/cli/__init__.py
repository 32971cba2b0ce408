"""The command line: `modelog --help`."""
