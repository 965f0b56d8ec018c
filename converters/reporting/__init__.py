"""The report of a work folder: one page with figures and pictures, and the same as Markdown."""
