"""Import: what a data set's owners distribute, written once in MTAN's layout, from which runs read."""
