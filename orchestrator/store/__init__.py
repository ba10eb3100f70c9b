"""What the orchestrator keeps: runs, audit chain, usage, prompts, answers. One file a concern."""
