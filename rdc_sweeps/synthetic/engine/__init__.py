"""What draws a scene: `boxes` make things, `raster` sees them, `textures` colour them, `dataset` caches the picture."""
