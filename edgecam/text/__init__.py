"""Text in any script, drawn by Pillow with fonts that travel with edgecam."""
