"""``edgecam service``: makes the running edgecam a service of systemd, with an environment of its own.

``layout`` knows where everything lies, ``steps`` what a change is, ``environment`` how the program is copied,
``plan`` which changes an installation needs, ``units`` how to ask systemd.
"""
