"""What the package is compared with, written again from its description: plain code, one image and one pair at a time.

Networks are functions of named tensors, which have the names of the package's own parameters, so that both start from
equal weights. Nothing here imports the package.
"""
