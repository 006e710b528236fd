"""Turn a finding into a patch: a codemod with the rule's own name, or, where there is none, edits asked of a model."""
