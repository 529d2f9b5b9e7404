"""`streets`: a procedural street data set with exact labels.

`traffic` and `roadside` build things out of boxes, `layout` puts them along a street, `scenes` renders it.
"""
