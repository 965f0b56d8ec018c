"""Raw outputs to results: pure functions of arrays. See :mod:`edgecam.heads.base`."""
