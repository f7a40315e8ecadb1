"""The Persistence Covenant: audit and mend of source text."""
