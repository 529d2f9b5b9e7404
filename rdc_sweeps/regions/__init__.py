"""Region maps of images: Segment Anything, superpixels, semantic labels, patches, and their store on disk."""
