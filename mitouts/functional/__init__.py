"""Pure maths on arrays and tensors: no files, no registry, no state. Modules are imported by name, one at a time."""
