"""Data whose factors are known, the networks that read them back, and how well a generator draws them."""
