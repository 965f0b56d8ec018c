"""From frame to frame: objects keep their id, labels hold.

:class:`~edgecam.tracking.tracker.Tracker` for detections, :class:`~edgecam.tracking.smoothing.Smoother` for
classifications.
"""
