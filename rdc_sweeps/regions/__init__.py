"""Images to region ids: Segment Anything, superpixels, semantic labels, patches, and the store on disk."""
