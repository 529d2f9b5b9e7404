"""Metrics: mIoU, aErr, mErr with both meters, delta-m."""
