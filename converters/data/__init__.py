"""Reading data sets: formats, duplicates, the split. :mod:`converters.dataset` is the door."""
