"""The ledger: what is known of every document. It is the truth; the index is derived from it."""
