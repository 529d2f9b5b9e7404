"""The renderer: `boxes` model things, `raster` finds what each pixel sees, `textures` and `shading` colour it."""
