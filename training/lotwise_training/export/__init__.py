"""From trained torch modules to the files that Triton serves."""
