"""One command a file; see :data:`converters.cli.app.COMMANDS`."""
