"""A production on disk: its runs, digests, states; knows no scheduler."""
