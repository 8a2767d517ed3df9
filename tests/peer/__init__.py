"""A second implementation of the protocol, written from docs/protocol alone. It shares no code with the program."""
