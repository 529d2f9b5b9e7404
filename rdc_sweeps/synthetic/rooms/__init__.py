"""`rooms`: a procedural indoor data set with exact labels.

`furniture` builds pieces out of boxes, `layout` furnishes a room with them, `scenes` renders it.
"""
