"""The stages of the chain, each in a folder; the table has their order."""
