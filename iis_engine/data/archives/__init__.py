"""Unpack zip and tar archives, Parquet tables of images and WebDataset shards."""
