"""The HTML report: a folder of pages, and the same pages served while runs are training."""
