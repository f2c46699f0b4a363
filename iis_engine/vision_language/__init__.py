"""Vision-language models: towers, tokenizers and phrase embeddings."""
