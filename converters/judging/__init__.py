"""How good a finished ``.tflite`` is, by the runtime's own parts; :mod:`converters.judge` is the door."""
