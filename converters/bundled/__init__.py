"""How the models in ``models/`` are made: ``make models``, or ``python3 -m converters.bundled``."""
