"""Whether the contrast helps: finished runs of the tables `findings` as the results of docs/findings.md."""
