"""The commands of the command line, by subject; `sifa_core.cli` puts them together."""
