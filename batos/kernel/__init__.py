"""The UVM: the process that serves the image."""
