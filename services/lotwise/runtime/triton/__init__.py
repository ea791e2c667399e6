"""A real Triton without a container: installation, backend, supervision."""
