"""Networks: backbones and their weights, task heads, and the mapping network a_theta."""
