"""OCI registries: images by digest, and the bundles that refer to them."""
