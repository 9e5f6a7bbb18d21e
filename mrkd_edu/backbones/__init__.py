"""Networks that a teacher can be made of, and the registry that names them."""
