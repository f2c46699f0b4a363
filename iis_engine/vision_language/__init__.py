"""Vision-language models: image and text towers, tokenizers, and phrase embeddings."""
