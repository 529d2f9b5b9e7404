"""How far the package is from the equations and the code that its results are compared with."""
