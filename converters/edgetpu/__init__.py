"""The Edge TPU: what of a model it could run (:mod:`~converters.edgetpu.check`, by the documented rules of
:mod:`~converters.edgetpu.rules`), and Google's compiler (:mod:`~converters.edgetpu.compiler`)."""
