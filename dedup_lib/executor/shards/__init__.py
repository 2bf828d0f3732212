"""Read tar shards of images (WebDataset's form), and write them without some of their samples."""
