"""linkspan: a virtual switch and virtual-network manager for Linux."""

__version__ = "0.1.0"
