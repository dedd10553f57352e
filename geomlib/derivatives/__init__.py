"""First derivatives of a network at one point: Jacobian-vector products in batches, within the memory there is."""
