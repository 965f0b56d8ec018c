"""Many variants of a recipe, tried as tasks on Ray, and what none of them beats.

Ray places the tasks, hands data and results about, and tries again what a lost machine has not finished. Here
is only what a variant is (:mod:`variants`), what a task does (:mod:`tasks`), how files travel
(:mod:`parcel`), and what becomes of the results (:mod:`pareto`, :mod:`page`).
"""
