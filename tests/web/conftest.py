from tests.reporting.conftest import bench

__all__ = ["bench"]
