"""`rooms`: a procedural indoor data set with exact labels.

`furniture` builds pieces out of boxes, `layout` furnishes a room with them, `raster` finds what each pixel sees,
`textures` and `render` colour it, `dataset` caches the result.
"""
