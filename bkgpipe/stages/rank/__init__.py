"""Rank: order runs by how alike they are."""
