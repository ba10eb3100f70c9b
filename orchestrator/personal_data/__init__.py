"""Personal data kept back from models: found, replaced by stable placeholders, restored for readers who may see it."""
