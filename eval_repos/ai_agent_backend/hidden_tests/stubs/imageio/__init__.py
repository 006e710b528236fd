from . import plugins

__version__ = "2.36.1"
