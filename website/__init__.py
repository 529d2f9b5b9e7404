"""What the documentation site adds to docs/*.md: the start page, and reference pages generated from the code."""
