"""How good translations and attention are, measured by the field's own tools."""
