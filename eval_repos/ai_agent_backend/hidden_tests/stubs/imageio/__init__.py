from . import plugins as plugins

__version__ = "2.36.1"
