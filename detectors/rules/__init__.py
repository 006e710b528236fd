"""One module a rule, one folder a subject. A module's name is the rule's id; the page beside it documents and tests it."""
