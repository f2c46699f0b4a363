"""Networks of the transformers library as data: config.json and safetensors, built by the library's own classes, without code from them."""
