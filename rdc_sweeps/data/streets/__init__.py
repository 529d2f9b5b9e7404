"""`streets`: a procedural street data set with exact labels, drawn with the raster of `rooms`.

`traffic` and `roadside` build things out of boxes, `layout` puts them along a street, `textures` and `render` colour
what is seen, `dataset` caches the result.
"""
