"""Storms: signals, full disks and foreign hosts against runs and studies, and what is lost or done twice."""
