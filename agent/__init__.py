"""All input and output: private clone, sandbox, verification, branches, reports, command line."""
