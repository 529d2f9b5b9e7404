"""What an experiment is: Pydantic models, YAML loading, content identity."""
