"""Many devices and one broker: which there are, how they are, and a new model for all of them.

There is no server but the broker. A model lies on it in retained pieces while it is rolled out; devices fetch
them at their own pace, check the model as ``edgecam model install`` does, and say how it went::

    edgecam/_models/SHA256/manifest, /0, /1, ...   retained while a rollout goes on
    edgecam/DEVICE/fleet/do                        what a device is asked to do
    edgecam/DEVICE/fleet/job                       retained: how far it is with that
    edgecam/DEVICE/fleet/slots                     retained: its models

``_models`` is no device: their ids begin with a letter or a digit.
"""
