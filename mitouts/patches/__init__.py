"""From annotated images and slides to training patches."""
