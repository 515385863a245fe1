"""Metrics: they see samples and images, never a GAN."""
