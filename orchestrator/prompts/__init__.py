"""The prompt registry: versioned templates, which of them is live where, and the gate that fills one in."""
