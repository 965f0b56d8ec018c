"""From objects to events: zones, lines, and what rules ask of them.

Rules know columns (ids, classes, scores, boxes), not who made them.
"""
