"""Models installed beside the running one: checked, tried on live frames, taken into use, and taken back.

::

    install ─► check in a child process ─► slot (a file named by its SHA-256)
                                             │ activate
               load, warm up ◄───────────────┘
                    │
               shadow: both models see the same frames ──► too slow, too different: refused
                    │ between two frames
               trial: the old model stands by ──► fails, slow, degraded: back within the frame
                    │
                  in use

What is in use is one small file, replaced as a whole: a process that dies at any moment finds at its next
start either the old model or the new one on trial. One that dies at its start again and again finds the old.
"""
