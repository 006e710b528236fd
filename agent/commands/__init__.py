"""The commands: each parses, calls one function, prints, and decides nothing. Everything heavy is imported inside them."""
