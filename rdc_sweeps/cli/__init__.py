"""The command line: parses arguments and prints results, without logic of its own."""
