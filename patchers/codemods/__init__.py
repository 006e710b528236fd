"""One module a codemod, in the folder and with the name of its rule."""
