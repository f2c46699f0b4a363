"""Labels of images: manifests and their columns, lists beside the images, WebDataset sidecars, label sets."""
